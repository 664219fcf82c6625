"""Calling a command as an operator does: arguments in, exit code and output back; in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import load_command_class

from pipeline.resilience import stopping
from tests.support import warm
from tests.support.engines import Ledger

PATIENCE = 120


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document; JSONDecodeError when there is anything beside it."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """The lines printed, but empty ones."""
        return [line.rstrip() for line in self.out.splitlines() if line.strip()]


def call(name: str, *arguments: object) -> Ran:
    """Run a command in this process, from its argument list to its exit code.

    A command takes SIGTERM and Ctrl-C for itself. No test sends them here: they are for the whole run of tests, which ends.
    """
    out, err = StringIO(), StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            load_command_class("pipeline", name).run_from_argv(["manage.py", name, *map(str, arguments)])
        except SystemExit as ended:
            code = ended.code
    if stopping.is_ordered():
        raise KeyboardInterrupt
    assert isinstance(code, int)
    return Ran(code, out.getvalue(), err.getvalue())


def environment(database_url: str) -> dict[str, str]:
    """The environment in which a process works on a database and on the test's folders."""
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "MARKETSPINE_ARCHIVE_DIR": settings.MARKETSPINE_ARCHIVE_DIR,
        "MARKETSPINE_SOURCE_DIR": settings.MARKETSPINE_SOURCE_DIR,
        "MARKETSPINE_THREADS": str(settings.MARKETSPINE_THREADS),
        "DJANGO_SETTINGS_MODULE": "marketspine.settings",
    }


def start(ledger: Ledger, *words: object) -> subprocess.Popen[str]:
    """Start Python on `words` ("manage.py", "run_weekly", ...) in the checkout, on the test's ledger."""
    return start_on(ledger.url, *words)


def start_on(database_url: str, *words: object) -> subprocess.Popen[str]:
    """Start Python on `words`, on any database."""
    return start_in(environment(database_url), *words)


def start_in(env: Mapping[str, str], *words: object) -> subprocess.Popen[str]:
    """Start Python on `words`, in any environment."""
    return warm.start(
        [str(word) for word in words],
        cwd=settings.BASE_DIR,
        env=dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str]) -> Ran:
    """Wait for a process that was started; a signal that ended it is a negative code."""
    out, err = process.communicate(timeout=PATIENCE)
    return Ran(process.returncode, out, err)


def manage(ledger: Ledger, *words: object) -> Ran:
    """Run `python manage.py` on `words` in a process of its own."""
    return finish(start(ledger, "manage.py", *words))
