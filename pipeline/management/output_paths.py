"""The paths that a command writes to. A folder that is not there is taken for mistyped, not made."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.management.base import BadArguments


def file_to_write(option: str, text: str) -> Path:
    """The path of a file, as `option` names it; BadArguments for a folder, and where the file's folder is not there."""
    path = Path(text)
    _require_folder(f"{option} {text}", path.parent)
    if path.is_symlink():  # the file that it leads to is written
        _require_folder(f"{option} {text}", Path(os.path.realpath(path)).parent)
    if path.is_dir():
        raise BadArguments(f"{option} {text}: {path} is a folder: name a file in it")
    return path


def folder_to_fill(path: Path) -> Path:
    """The absolute path of a folder, which the command makes; BadArguments where the folder above it is not there."""
    _require_folder(str(path), path.absolute().parent)
    if os.path.lexists(path) and not path.is_dir():  # also a link that leads nowhere
        raise BadArguments(f"{path} is not a folder")
    return path.absolute()


def _require_folder(named: str, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadArguments(f"{named}: {folder} is not a folder")
    if not folder.exists():
        raise BadArguments(f"{named}: the folder {folder} is not there; make it first")
