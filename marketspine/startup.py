"""Processes not started by Django's command line: on bad settings they end with a sentence, too."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import django
from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.core.exceptions import ImproperlyConfigured

OURS = "marketspine"  # the tag of `pipeline.checks`
COULD_NOT_RUN = 2
GUNICORN_GIVES_UP = 3  # after any other code of its worker gunicorn starts the next one, for ever


def require_readable_settings(code: int = COULD_NOT_RUN) -> None:
    """Read the settings; SystemExit with the code where a variable cannot be read."""
    try:
        _ = settings.INSTALLED_APPS
    except ImproperlyConfigured as error:
        _end([f"misconfigured: {error}"], code)


def require_sound_settings(code: int = COULD_NOT_RUN) -> None:
    """Check the settings as each command does; SystemExit with the code where they cannot work."""
    require_readable_settings(code)
    django.setup()
    if errors := [message for message in run_checks(tags=[OURS]) if message.level >= ERROR]:
        _end([f"misconfigured: {error.id}: {error.msg} {error.hint}" for error in errors], code)


def _end(lines: Iterable[str], code: int) -> None:
    print(*lines, sep="\n", file=sys.stderr, flush=True)
    sys.exit(code)
