"""`python -m tests.browser.at 2026-11-23T15:31:00Z serve --port 0`: manage.py at another time, which goes on from there."""

from __future__ import annotations

import os
import sys
from datetime import datetime

import time_machine
from django.core.management import execute_from_command_line


def main(moment: str, *words: str) -> None:
    """Run the command as if it were that moment."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
    with time_machine.travel(datetime.fromisoformat(moment), tick=True):
        execute_from_command_line(["manage.py", *words])


if __name__ == "__main__":
    main(*sys.argv[1:])
