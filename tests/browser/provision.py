"""What the browser tests need beside the virtualenv: Chromium and axe. `make test-browser` puts them in place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
AXE_FOLDER = HERE.parent.parent / ".venv" / "axe"
AXE = AXE_FOLDER / "node_modules" / "axe-core" / "axe.min.js"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class CannotBeHad(Exception):
    """Something cannot be installed here; the message says what to do."""


def chromium() -> str | None:
    """The Chromium of this machine; None where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def axe_version() -> str:
    """The version of axe that is locked."""
    lock = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))
    return str(lock["packages"]["node_modules/axe-core"]["version"])


def axe_is_current() -> bool:
    """Whether the locked axe is in place."""
    package = AXE.with_name("package.json")
    return AXE.is_file() and json.loads(package.read_text(encoding="utf-8"))["version"] == axe_version()


def provide() -> None:
    """Install what is absent; CannotBeHad when that is not possible here."""
    if chromium() is None:
        install_packages("chromium", "fonts-liberation")
    if not axe_is_current():
        if shutil.which("npm") is None:
            install_packages("npm")
        install_axe()


def install_packages(*names: str) -> None:
    """Debian's packages, as root or with sudo."""
    by_hand = f"install {' and '.join(names)} by hand: apt-get install {' '.join(names)}"
    if shutil.which("apt-get") is None:
        raise CannotBeHad(f"there is no apt-get here; {by_hand} on Debian, or what your system has for it")
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        raise CannotBeHad(f"only root may install packages, and there is no sudo; {by_hand}")
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    run([*as_root, "apt-get", "update", "-qq"], by_hand)
    run([*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *names], by_hand)


def install_axe() -> None:
    """The locked axe, checked against the lock's hash, into the virtualenv's folder."""
    AXE_FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, AXE_FOLDER)
    words = [
        "npm",
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--silent",
        "--prefix",
        str(AXE_FOLDER.resolve()),
    ]
    run(words, "axe-core could not be fetched from the npm registry: is there a network?")


def run(words: list[str], otherwise: str) -> None:
    """Run a program; CannotBeHad with advice when it fails."""
    if subprocess.run(words, check=False).returncode:
        raise CannotBeHad(f"{' '.join(words)} failed; {otherwise}")


def main() -> int:
    """Exit code: 0 all is in place, 1 it cannot be."""
    try:
        provide()
    except CannotBeHad as reason:
        print(f"make test-browser: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
