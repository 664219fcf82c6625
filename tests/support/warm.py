"""Python processes that begin with the libraries imported: half of what a process costs that a test starts.

A server, one for each test process, has imported them, and nothing of Market Spine; for each process that is asked for it
forks. The fork takes the arguments, environment, folder and pipes it is given and does what `python ARGUMENTS` does from
there on: the settings, the applications and the product are imported by each process for itself. It is a child of the
test process, not of the server: it can be waited for, and there is nothing in it to fork from but what was imported.

`FAULTS=all` starts every process from nothing. `python -m tests.support.warm FD` is the server.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import inspect
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# What the product imports of others and what can be imported before there are settings.
LIBRARIES = (
    "celery.app.amqp",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.backends.redis",
    "celery.bin.beat",
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.concurrency.prefork",
    "celery.concurrency.solo",
    "celery.concurrency.thread",
    "celery.fixups.django",
    "celery.worker.consumer",
    "certifi",
    "chardet",
    "charset_normalizer",
    "cron_descriptor",
    "cronsim",
    "crontab",
    "csp.middleware",
    "django.contrib.admin.options",
    "django.contrib.admin.sites",
    "django.contrib.admin.templatetags.admin_list",
    "django.contrib.admin.views.main",
    "django.contrib.admindocs",
    "django.contrib.auth.hashers",
    "django.contrib.auth.password_validation",
    "django.contrib.postgres.fields",
    "django.contrib.sessions.backends.db",
    "django.contrib.staticfiles",
    "django.contrib.staticfiles.handlers",
    "django.core.mail",
    "django.core.management.base",
    "django.core.serializers.json",
    "django.core.servers.basehttp",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.executor",
    "django.forms",
    "django.template.backends.django",
    "django.test.signals",
    "django.views.generic",
    "holidays.financial",
    "httpx2",
    "kombu.transport.memory",
    "kombu.transport.redis",
    "markdown",
    "msgspec",
    "polars",  # imported, never used: a fork would hang
    "psutil",
    "psycopg",
    "psycopg.types.json",
    "redis",
    "requests",
    "rich.console",
    "rich.progress",
    "rich.table",
    "smtplib",
    "stamina",
    "tenacity",
    "unfold.dataclasses",
    "uritemplate",
    "whitenoise.middleware",
    "xml.etree.ElementTree",
    "yaml",
    "zstandard",
)
IS_THERE = sys.platform == "linux" and os.environ.get("FAULTS", "") != "all"
PR_SET_CHILD_SUBREAPER = 36
FDS = 3  # stdin, stdout, stderr
ROOT = Path(__file__).resolve().parents[2]


class Process(subprocess.Popen[str]):
    """`subprocess.Popen` of this interpreter, forked from the server where Popen would start it."""

    def _execute_child(self, *given: Any) -> None:
        """What Popen calls to have the process started: it sets `pid`, and closes the ends that the process has."""
        start = super()._execute_child  # type: ignore[misc] # the stubs leave out what is private
        asked = inspect.signature(start).bind(*given).arguments
        order = {
            "arguments": asked["args"][1:],
            "folder": str(asked["cwd"]),
            "environment": asked["env"],
            "own_session": asked["start_new_session"],
        }
        ends = [asked["p2cread"], asked["c2pwrite"], asked["errwrite"]]
        self.pid = _server().start(order, [number if end == -1 else end for number, end in enumerate(ends)])
        self._child_created = True
        pipes = [asked[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def start(arguments: list[str], **more: Any) -> subprocess.Popen[str]:
    """Start Python on the arguments, as `subprocess.Popen(..., text=True)` does; `cwd` and `env` have to be given."""
    return (Process if IS_THERE else subprocess.Popen)([sys.executable, *arguments], text=True, **more)


class _Server:
    """The server of this process."""

    def __init__(self) -> None:
        self._channel, other = socket.socketpair()
        with other:
            command = [sys.executable, "-m", "tests.support.warm", str(other.fileno())]
            self._process = subprocess.Popen(
                command, cwd=ROOT, pass_fds=[other.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        self._turn = threading.Lock()

    def start(self, order: dict[str, Any], ends: list[int]) -> int:
        """Have a process forked that has these ends as its stdin, stdout and stderr; its id."""
        message = json.dumps(order).encode()
        with self._turn, _adopting():
            socket.send_fds(self._channel, [len(message).to_bytes(8)], ends)
            self._channel.sendall(message)
            return int.from_bytes(_received(self._channel, 8))

    def stop(self) -> None:
        """It ends when nobody can ask any more."""
        self._channel.close()
        self._process.wait()


@functools.cache
def _server() -> _Server:
    server = _Server()
    atexit.register(server.stop)
    return server


@contextmanager
def _adopting() -> Iterator[None]:
    """Be the parent of grandchildren whose parent ends (prctl(2)): only for a moment, else of all that tests orphan."""
    _adopt(1)
    try:
        yield
    finally:
        _adopt(0)


def _adopt(flag: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, flag, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _received(channel: socket.socket, size: int) -> bytes:
    """So many bytes; fewer when the other side has gone."""
    found = b""
    while len(found) < size and (part := channel.recv(size - len(found))):
        found += part
    return found


def _serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each order. Returns in the fork, with its order; in the server when nobody can ask any more."""
    while True:
        length, ends, _flags, _address = socket.recv_fds(channel, 8, FDS)
        if not length:
            return None
        order: dict[str, Any] = json.loads(_received(channel, int.from_bytes(length)))
        started = _forked()
        if started is None:
            channel.close()
            _take(order, ends)
            return order
        for end in ends:
            os.close(end)
        channel.sendall(started.to_bytes(8))


def _forked() -> int | None:
    """Fork twice, so that the second has no parent here: its id, when the first has ended; None in it."""
    reading, writing = os.pipe()
    between = os.fork()
    if between:
        os.close(writing)
        os.waitpid(between, 0)
        told = os.read(reading, 8)
        os.close(reading)
        return int.from_bytes(told)
    started = os.fork()
    if started:
        os.write(writing, started.to_bytes(8))
        os._exit(0)
    os.close(reading)
    os.close(writing)
    return None


def _take(order: dict[str, Any], ends: list[int]) -> None:
    """Become the process that was ordered."""
    for number, end in enumerate(ends):
        os.dup2(end, number)
        os.close(end)
    if order["own_session"]:
        os.setsid()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])


def _run(arguments: list[str]) -> None:
    """Do what `python ARGUMENTS` does: `-m MODULE ...` or `FILE ...`."""
    sys.path[0] = os.getcwd()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def main() -> None:
    """Import, and serve; in a fork, run."""
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # what is here already is not gone through, and so not copied, by the garbage collection of the forks
    order = _serve(socket.socket(fileno=int(sys.argv[1])))
    if order is not None:
        _run(order["arguments"])


if __name__ == "__main__":
    main()
