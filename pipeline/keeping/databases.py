"""The database of a backup: dumped at one instant into one file, and restored from it. SQLite or PostgreSQL."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.db import connection, transaction

from marketspine.addresses import sqlite_at
from pipeline.keeping import postgresql
from pipeline.keeping.postgresql import ToolFailed

SQLITE, POSTGRESQL = "sqlite", "postgresql"
FILES = {SQLITE: "database.sqlite3", POSTGRESQL: "database.dump"}


def engine_of(entry: Mapping[str, Any]) -> str:
    """The kind of database of an entry in DATABASES: SQLITE or POSTGRESQL."""
    return SQLITE if entry["ENGINE"].endswith("sqlite3") else POSTGRESQL


def check_tools() -> None:
    """ToolFailed where the database of the settings cannot be dumped on this machine."""
    if connection.vendor == POSTGRESQL:
        postgresql.require(postgresql.DUMP, major_of(version()), "the server")


def version() -> str:
    """The version of the server, or of SQLite."""
    if connection.vendor == SQLITE:
        return sqlite3.sqlite_version
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0])


def major_of(server: str) -> int:
    """The major version of a server: 18 of "18.1 (Debian ...)"."""
    return int(server.partition(".")[0].split()[0])


@contextmanager
def one_instant() -> Iterator[str]:
    """Within, queries and `dump` see the ledger of one instant; yields the snapshot's name.

    Meanwhile others go on writing on PostgreSQL; on SQLite they wait, for a moment: the ledger is small.
    """
    if connection.in_atomic_block:
        raise RuntimeError("a snapshot begins its own transaction")
    with transaction.atomic():
        if connection.vendor == SQLITE:
            yield ""
            return
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            (snapshot,) = cursor.fetchone()
        yield snapshot


def dump(snapshot: str, into: Path) -> None:
    """Write the database of the settings into a file, within `one_instant`; it is on the disk when this returns."""
    if connection.vendor == SQLITE:
        _copy_sqlite(str(connection.settings_dict["NAME"]), into)
    else:
        postgresql.dump(connection.settings_dict, snapshot, into)
    flush(into)


def _copy_sqlite(name: str, into: Path) -> None:
    """Copy in one step: a copy in small steps begins anew with each write of another process, and may never end."""
    address = f"file:{quote(name)}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as source, closing(sqlite3.connect(into)) as target:
        source.backup(target, pages=-1)
        target.execute("PRAGMA journal_mode=DELETE")
    check_sqlite(into)


def check_sqlite(path: Path) -> None:
    """ToolFailed unless SQLite finds its file whole."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as held:
        try:
            said = held.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            said = str(error)
    if said != "ok":
        raise ToolFailed(f"the database in {path} is damaged: {said}")


def put_back(dumped: Path, entry: Mapping[str, Any]) -> None:
    """Restore a dump into an empty database without connections: all of it, or nothing."""
    if engine_of(entry) == POSTGRESQL:
        postgresql.restore(entry, dumped)
        return
    target = Path(entry["NAME"])
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(dumped, part)
    flush(part)
    part.replace(target)
    flush(target.parent)


@contextmanager
def scratch(entry: Mapping[str, Any], folder: Path) -> Iterator[dict[str, Any]]:
    """An empty database beside the one of `entry`, for a while: on its server, or a file in `folder`."""
    if engine_of(entry) == POSTGRESQL:
        with postgresql.scratch(entry) as made:
            yield made
    else:
        yield {**entry, "NAME": str(folder / FILES[SQLITE])}


def address_of(entry: Mapping[str, Any]) -> str:
    """The DATABASE_URL of an entry, as `marketspine.addresses.database` reads it; with the password."""
    if engine_of(entry) == SQLITE:
        return sqlite_at(Path(entry["NAME"]))
    host, port, options = entry["HOST"], entry["PORT"], dict(entry.get("OPTIONS", {}))
    place = ""
    if host and not host.startswith("/"):
        ports = port.split(",") if port else [""] * len(host.split(","))
        named = zip((_bracketed(one) for one in host.split(",")), ports, strict=True)
        place = ",".join(f"{one}:{its}" if its else one for one, its in named)
    else:
        options |= {name: value for name, value in (("host", host), ("port", port)) if value}
    options = {name: value for name, value in options.items() if isinstance(value, str)}
    user = quote(entry["USER"], safe="") + (f":{quote(entry['PASSWORD'], safe='')}" if entry["PASSWORD"] else "")
    query = f"?{urlencode(options, quote_via=quote)}" if options else ""
    return f"postgresql://{user}{'@' if user else ''}{place}/{quote(entry['NAME'], safe='')}{query}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def flush(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
