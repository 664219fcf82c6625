"""Beginnings that tests share: what one leaves in the ledger and in folders is built once, and from then on copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from django.db import connections

from tests.support.engines import Ledger, wipe


def bring_about(build: Callable[[Path], object], ledger: Ledger, folders: Sequence[Path], copies: Path) -> None:
    """What `build(folder)` does to the ledger and to the folders: done once for each database, and then brought back.

    The times of what is brought back are those of the first time.
    """
    name = f"{build.__module__}.{build.__qualname__}"[-60:]
    copy = copies / ledger.engine / name
    if ledger.holds(name):
        ledger.wipe(name)
        _copy_folders(((copy / str(number), folder) for number, folder in enumerate(folders)))
        return
    wipe()
    build(folders[0])
    connections.close_all()
    ledger.keep(name)
    _copy_folders(((folder, copy / str(number)) for number, folder in enumerate(folders)))


def _copy_folders(pairs: Iterable[tuple[Path, Path]]) -> None:
    for source, target in pairs:
        shutil.rmtree(target, ignore_errors=True)
        if source.exists():
            shutil.copytree(source, target, symlinks=True)
