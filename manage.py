#!/usr/bin/env python
"""Market Spine's command line: `python manage.py help` lists the commands."""

from __future__ import annotations

import json
import os
import sys

COULD_NOT_RUN = 2
OURS = ("marketspine", "pipeline")


def main() -> None:
    """Read the settings, then have Django find the command and run it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
    if sys.version_info < (3, 11):
        _end(f"Market Spine needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}")
    try:
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ModuleNotFoundError as error:
        _end_without(error)
    try:
        _ = settings.INSTALLED_APPS
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        _end(f"misconfigured: {error}")
    except ModuleNotFoundError as error:
        _end_without(error)
    except Exception as error:  # of Django's own commands: ours say it themselves
        if not (told := _of_database(error)):
            raise
        _end(told)


def _of_database(error: Exception) -> str:
    """Why the database cannot be used, and what to do; empty for any other error."""
    from django.db import InterfaceError, OperationalError

    from pipeline.resilience.failures import database_sentence

    return database_sentence(error) if isinstance(error, OperationalError | InterfaceError) else ""


def _end_without(error: ModuleNotFoundError) -> None:
    package = (error.name or "").partition(".")[0]
    if not package or package in OURS:
        raise error
    _end(
        f"the package {package!r} is not installed for {sys.executable}: run `make run` once, which installs what is "
        "needed into .venv, and call `.venv/bin/python manage.py ...` (or first `. .venv/bin/activate`)"
    )


def _end(message: str) -> None:
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "exit_code": COULD_NOT_RUN}, indent=2))
    print(message, file=sys.stderr)
    sys.exit(COULD_NOT_RUN)


if __name__ == "__main__":
    main()
