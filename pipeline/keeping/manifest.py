"""The manifest of a backup: counts and sums from the instant of its database, and every file with its hash."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from marketspine.environment import is_set
from pipeline.finra.calendar import Tier
from pipeline.finra.rows import without_zeros
from pipeline.models import Capture

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """A file: its path, the SHA-256 of its bytes, and their number."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The captures of a tier, and the sums over them; `shares` is an exact decimal, as text."""

    tier: str
    captures: int
    rows: int
    shares: str
    trades: int


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a database: the migrations applied, the rows of each table, the totals of each tier."""

    migrations: list[str]
    tables: dict[str, int]
    totals: list[Totals]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup. `environment` has the names of the settings that were given; no backup holds their values.

    `missing` has the paths that the ledger names and that the archive had lost or damaged.
    """

    format: int
    name: str
    made_at: datetime
    product: str
    engine: str
    server: str
    contents: Contents
    environment: list[str]
    database: Stored
    files: list[Stored]
    missing: list[str]

    @property
    def files_bytes(self) -> int:
        """The bytes of all files but the database."""
        return sum(file.bytes for file in self.files)

    def text(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), indent=1, default=_as_text).encode()

    @classmethod
    def read(cls, text: bytes) -> Manifest:
        """The manifest in a text; ValueError, KeyError or TypeError where it holds none."""
        said: dict[str, Any] = json.loads(text)
        contents = said["contents"]
        typed: dict[str, Any] = {
            "made_at": datetime.fromisoformat(said["made_at"]),
            "contents": Contents(
                contents["migrations"], contents["tables"], [Totals(**one) for one in contents["totals"]]
            ),
            "database": Stored(**said["database"]),
            "files": [Stored(**one) for one in said["files"]],
        }
        return cls(**{**said, **typed})


def _as_text(value: datetime) -> str:
    return value.isoformat()


def contents() -> Contents:
    """The contents of the settings' database now. Reads only."""
    applied = sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())
    return Contents(applied, tables(), list(_totals()))


def tables() -> dict[str, int]:
    """The number of rows of each table; empty for an empty database."""
    with connection.cursor() as cursor:
        found = {}
        for table in sorted(connection.introspection.table_names(cursor)):
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")
            found[table] = int(cursor.fetchone()[0])
    return found


def _totals() -> Iterator[Totals]:
    """The totals of each tier. They are summed in Python: SQLite would add exact decimals as floats."""
    for tier in Tier:
        held = list(Capture.objects.filter(partition__tier=tier).values_list("rows_kept", "shares", "trades"))
        rows, trades = sum(one[0] for one in held), sum(one[2] for one in held)
        shares = sum((Decimal(one[1] or 0) for one in held), Decimal(0))
        yield Totals(tier.value, len(held), rows, f"{without_zeros(shares):f}", trades)


def given_settings(known: Iterable[str]) -> list[str]:
    """The names of the settings that the environment gives."""
    return sorted(name for name in known if is_set(name))
