"""A copy of the project as a new user has it: what is under version control, and what is installed as links."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from django.conf import settings

from marketspine.demo import CONFIGURES

ROOT = Path(settings.BASE_DIR)
INSTALLED = ("bin", "lib", "lib64", "pyvenv.cfg")
OURS = (*CONFIGURES, "MARKETSPINE_DEMO", "ARGS", "MAKEFLAGS", "MAKELEVEL", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Clone:
    """The copy, and a shell in it."""

    root: Path

    def shell(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script line by line until one fails, in an environment that configures nothing but `variables`."""
        inherited = {name: value for name, value in os.environ.items() if name not in OURS}
        return subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=self.root,
            env={**inherited, **variables},
            capture_output=True,
            text=True,
            check=False,
        )


def clone(folder: Path) -> Clone:
    """Copy what git knows or would add; skips where there is no git, or no virtual environment to link."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None or shutil.which("make") is None:
        pytest.skip("not a git checkout, or no make")
    if not (Path(sys.prefix) / "bin" / "activate").is_file():
        pytest.skip("the tests run in no virtual environment that could be linked")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file() and not name.startswith("docs/images/"):
            _copy(ROOT / name, folder / name)
    _link_installed(folder / ".venv")
    return Clone(folder)


def _copy(source: Path, target: Path) -> None:
    """A file with its time, and so with its bytecode, where there is some: each clone would compile it again."""
    for found, copy in ((source, target), (_bytecode_of(source), _bytecode_of(target))):
        if found.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, copy)


def _bytecode_of(path: Path) -> Path:
    return Path(cache_from_source(str(path)))


def _link_installed(venv: Path) -> None:
    """As if `make run` had installed into it: its stamp is newer than the lock."""
    venv.mkdir()
    for name in INSTALLED:
        if (Path(sys.prefix) / name).exists():
            (venv / name).symlink_to(Path(sys.prefix) / name)
    (venv / ".runtime").touch()
