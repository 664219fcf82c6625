"""PostgreSQL's own tools, pg_dump and pg_restore, their versions, and scratch databases to restore into."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

DUMP, RESTORE = "pg_dump", "pg_restore"
SCRATCH = "marketspine_drill_"
SAID = 2000  # characters of what a tool says when it fails


class ToolFailed(Exception):
    """A tool is missing, too old, or failed: the message says which, and what to do."""


def tool(name: str) -> str:
    """The path of a tool: in MARKETSPINE_PG_BIN, else on the PATH."""
    folder = settings.MARKETSPINE_PG_BIN
    found = shutil.which(name, path=folder or None)
    if found is None:
        where = f"in {folder}" if folder else "on the PATH"
        raise ToolFailed(
            f"{name} is not {where}: install PostgreSQL's client programs, or name their folder in MARKETSPINE_PG_BIN"
        )
    return found


def major(name: str) -> int:
    """The major version of a tool."""
    said = _run([tool(name), "--version"], {}).stdout
    version = re.search(r"(\d+)[.\d]*", said)
    if version is None:
        raise ToolFailed(f"{name} --version says {said.strip()!r}, and no version")
    return int(version[1])


def require(name: str, least: int, of: str) -> None:
    """ToolFailed unless a tool is as new as the server or dump that it has to read: an older one refuses, or misreads."""
    found = major(name)
    if found < least:
        raise ToolFailed(
            f"{name} is version {found}, and {of} is version {least}: install client programs of version {least} or newer, "
            "and name their folder in MARKETSPINE_PG_BIN"
        )


def dump(entry: Mapping[str, Any], snapshot: str, into: Path) -> None:
    """Dump a database as an exported snapshot sees it."""
    words = [tool(DUMP), "--format=custom", "--no-owner", "--no-acl", f"--snapshot={snapshot}", f"--file={into}"]
    _run([*words, f"--dbname={_address(entry)}"], _secrets(entry))


def restore(entry: Mapping[str, Any], dumped: Path) -> None:
    """Restore a dump into an empty database: all of it, or nothing."""
    words = [tool(RESTORE), "--exit-on-error", "--no-owner", "--no-acl", "--single-transaction"]
    _run([*words, f"--dbname={_address(entry)}", f"{dumped}"], _secrets(entry))


def check_readable(dumped: Path) -> None:
    """ToolFailed unless pg_restore reads the dump's list of contents."""
    _run([tool(RESTORE), "--list", f"{dumped}"], {})


@contextmanager
def scratch(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A new, empty database on the server of `entry`, and its entry; it is dropped at the end.

    Its name cannot be an existing database's: the server would refuse to create it.
    """
    name = f"{SCRATCH}{secrets.token_hex(6)}"
    with psycopg.connect(_address(entry), password=entry["PASSWORD"] or None, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            yield {**entry, "NAME": name}
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _address(entry: Mapping[str, Any]) -> str:
    """The connection string for libpq, without the password: every user of the machine sees a command's arguments."""
    parts = {"dbname": entry["NAME"], "user": entry["USER"], "host": entry["HOST"], "port": entry["PORT"]}
    known = {name: value for name, value in entry.get("OPTIONS", {}).items() if isinstance(value, str)}
    return make_conninfo(**{name: value for name, value in (parts | known).items() if value})


def _secrets(entry: Mapping[str, Any]) -> dict[str, str]:
    return {"PGPASSWORD": entry["PASSWORD"]} if entry["PASSWORD"] else {}


def _run(words: list[str], more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **more}
    done = subprocess.run(  # noqa: S603 - PostgreSQL's programs, with words of ours
        words, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip()[-SAID:] or f"exit code {done.returncode}"
        raise ToolFailed(f"{Path(words[0]).name} failed: {said}")
    return done
