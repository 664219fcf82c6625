"""The paths that a command writes to. A folder that is not there is taken for mistyped, not made."""

from __future__ import annotations

from pathlib import Path

from pipeline.management.base import BadArguments


def file_to_write(option: str, text: str) -> Path:
    """The path of a file, as `option` names it; BadArguments where its folder is not there."""
    path = Path(text)
    if not path.parent.is_dir():
        raise BadArguments(f"{option} {text}: the folder {path.parent} is not there; make it first")
    return path


def folder_to_fill(path: Path) -> Path:
    """The absolute path of a folder, which the command makes; BadArguments where the folder above it is not there."""
    above = path.absolute().parent
    if not above.is_dir():
        raise BadArguments(f"{path}: the folder {above} is not there; make it first")
    if path.exists() and not path.is_dir():
        raise BadArguments(f"{path} is not a folder")
    return path.absolute()
