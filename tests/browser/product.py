"""The real product for a browser: `manage.py serve` as a process on the test's ledger, with people who may sign in."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User

from tests.management.calling import finish, start
from tests.support.engines import Ledger

PASSWORD = "correct horse 1"
TOLD = "Market Spine is at "
LAST_WORDS = 2000
ROLES = ("Viewer", "Operator", "Administrator")


def people() -> None:
    """A user of each role, named as the role in lower case, and `root`, who may do everything."""
    password = make_password(PASSWORD)  # slow by design: once for all of them
    for role in ROLES:
        user = User.objects.create(username=role.lower(), password=password, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
    User.objects.create(username="root", password=password, is_staff=True, is_superuser=True)


@contextmanager
def served(ledger: Ledger, *arguments: str) -> Iterator[str]:
    """The address of a product that follows no schedule. At the end it must stop in order, and have failed nowhere."""
    process = start(ledger, "manage.py", "serve", "--port", "0", "--no-beat", *arguments)
    try:
        yield _address(process)
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    finally:
        process.kill()
    assert (ended.code, "Traceback" in ended.err) == (0, False), ended.err[-LAST_WORDS:]


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(TOLD):
            return line.removeprefix(TOLD).strip()
    raise AssertionError(process.communicate())
