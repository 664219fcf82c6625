"""The paths that a command writes to. A folder that is not there is taken for mistyped, not made."""

from __future__ import annotations

from pathlib import Path

from pipeline.management.base import BadArguments


def file_to_write(option: str, text: str) -> Path:
    """The path of a file, as `option` names it; BadArguments where its folder is not there."""
    path = Path(text)
    _require_folder(f"{option} {text}", path.parent)
    return path


def folder_to_fill(path: Path) -> Path:
    """The absolute path of a folder, which the command makes; BadArguments where the folder above it is not there."""
    _require_folder(str(path), path.absolute().parent)
    if path.exists() and not path.is_dir():
        raise BadArguments(f"{path} is not a folder")
    return path.absolute()


def _require_folder(named: str, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadArguments(f"{named}: {folder} is not a folder")
    if not folder.exists():
        raise BadArguments(f"{named}: the folder {folder} is not there; make it first")
