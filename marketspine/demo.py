"""Choose whether `make run` and `make serve` show the demo. Runs before anything is installed.

The demo is for a clone without configuration and without data of one's own. The environment and the folder `var` decide:
an empty source folder alone makes no demo.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

VAR = Path(__file__).resolve().parent.parent / "var"
CONFIGURES = (
    "DATABASE_URL",
    "MARKETSPINE_SOURCE",
    "MARKETSPINE_SOURCE_DIR",
    "MARKETSPINE_ARCHIVE_DIR",
    "CELERY_BROKER_URL",
)
OWN = ("marketspine.sqlite3", "archive")
ON = ("1", "true", "yes", "on")

FIRST = "DEMO: nothing of your own is configured, so this works on invented samples, all under var/demo."
CHOSEN = "DEMO: MARKETSPINE_DEMO is on, so this works on invented samples, all under var/demo."
LAST = """\
These were samples. `export MARKETSPINE_DEMO=1` has the commands that you type show them, too.
Your own data: put FINRA's files into var/source, or set MARKETSPINE_SOURCE=api. `make run` then begins its ledger."""
FRESH = "Your own data: this begins a ledger of its own, var/marketspine.sqlite3. The demo stays under var/demo."


def is_demo(environment: Mapping[str, str], var: Path) -> bool:
    """Whether it is the demo: asked for, or nothing is configured and there is no data of one's own."""
    asked = environment.get("MARKETSPINE_DEMO")
    if asked is not None:
        return asked.strip().lower() in ON
    configured = any(name in environment or f"{name}_FILE" in environment for name in CONFIGURES)
    return not configured and not has_own(var)


def has_own(var: Path) -> bool:
    """Whether there are files to capture, or a ledger or an archive that may have captured some."""
    return any((var / name).exists() for name in OWN) or any((var / "source").glob("[!.]*"))


def first_words(environment: Mapping[str, str], var: Path) -> str:
    """The first line to print; empty in the ordinary case."""
    if is_demo(environment, var):
        return CHOSEN if "MARKETSPINE_DEMO" in environment else FIRST
    begins = not (var / OWN[0]).exists() and "DATABASE_URL" not in environment
    return FRESH if begins and (var / "demo").exists() else ""


def main(asked: str) -> str:
    """`first`: the first line; `last`: the last one; `demo`: 1 or 0."""
    if asked == "first":
        return first_words(os.environ, VAR)
    demo = is_demo(os.environ, VAR)
    if asked == "last":
        return LAST if demo else ""
    return "1" if demo else "0"


if __name__ == "__main__":
    words = main(sys.argv[1])
    if words:
        print(words)
