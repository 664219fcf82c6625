"""How close ingest comes to what the database itself can load: `python -m benchmarks.ingest [--rounds 5]`.

On PostgreSQL (started from its wheel, or TEST_DATABASE_URL) and SQLite, interleaved, for one NMS_TIER_2 partition of real
size (about 168,000 rows): the whole path of a first capture (read, hash, parse, validate, archive, store) against a raw
load (COPY; executemany on SQLite) of the same rows into the same table; an unchanged partition against reading and
hashing its bytes; a restatement of 3 rows against its first capture. Medians of the rounds after a warm-up round, in
which the securities and venues become known, as they are on any Monday but the first.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
django.setup()

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from pipeline import bulk
from pipeline import row_versions as vintages
from pipeline.calendar import PartitionKey, Tier, last_fridays
from pipeline.capture import ingest
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.models import Capture, Outcome, RowVersion
from pipeline.models.fields import to_micros
from pipeline.samples import Size, publish
from pipeline.sources.files import FilesSource
from tests.engines import Ledger, PostgreSQLLedger, SQLiteLedger, as_default
from tests.servers import postgresql

TIER = Tier.NMS_TIER_2
DURABLE = "jit = off\nshared_buffers = 512MB\nmax_wal_size = 4GB\n"  # fsync and commits as a production server has them
RUN_DATE = date(2026, 1, 5)
COLUMNS = (*vintages.KEY, *vintages.VALUES, "partition_id", "first_version")
RAW_PARTITION = 1_000_000
SEED = 7


@dataclass
class Times:
    """Seconds of each round, by what was timed."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, what: str, work: Callable[[], object]) -> None:
        """Run `work` once and keep how long it took. Garbage is collected before, not during."""
        gc.collect()
        started = time.perf_counter()
        work()
        self.seconds.setdefault(what, []).append(time.perf_counter() - started)

    def median(self, what: str) -> float:
        """The median of the rounds, without the warm-up."""
        return statistics.median(self.seconds[what][1:])


def main() -> None:
    """Run the rounds, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, after one to warm up (default: 5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name, ledgers(Path(name)) as databases:
        configured_storages(f"{name}/archive")
        times = {engine: Times() for engine in databases}
        for week in last_fridays(rounds + 1, date(2025, 11, 14)):
            for engine, ledger in databases.items():
                root = Path(name, engine, week.isoformat())
                publish(root, weeks=[week], seed=SEED, size=Size.REAL, tiers=(TIER,))
                with as_default(ledger):
                    one_round(times[engine], root, PartitionKey(week, TIER))
    for engine, measured in times.items():
        report(engine, measured)


def configured_storages(location: str) -> None:
    """Let the archive be a folder of this benchmark."""
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {"default": {"BACKEND": backend, "OPTIONS": {"location": location}}}


@contextmanager
def ledgers(folder: Path) -> Iterator[dict[str, Ledger]]:
    """A migrated database on each engine."""
    with ExitStack() as stack:
        url = os.environ.get("TEST_DATABASE_URL") or stack.enter_context(postgresql(DURABLE)).url
        databases: dict[str, Ledger] = {
            "postgresql": PostgreSQLLedger(url),
            "sqlite": SQLiteLedger(folder / "ledger.sqlite3"),
        }
        for ledger in databases.values():
            stack.callback(ledger.drop)
            with as_default(ledger):
                call_command("migrate", verbosity=0)
        yield databases


def one_round(times: Times, root: Path, key: PartitionKey) -> None:
    """First capture and raw load, unchanged and read-and-hash, restatement of three rows."""
    source = FilesSource(root, settings.MARKETSPINE_MAX_FILE_BYTES)
    terms = Terms(run_date=RUN_DATE)
    times.measure("first capture", lambda: expect(ingest.ingest(key, source, terms), Outcome.INGESTED))
    times.measure("raw load", raw_load(stored_lines(key)))
    RowVersion.objects.filter(partition_id=RAW_PARTITION).delete()
    times.measure("read and hash", lambda: read_and_hash(root))
    times.measure("unchanged", lambda: expect(ingest.ingest(key, source, terms), Outcome.UNCHANGED))
    restate_three_rows(root)
    times.measure("restatement", lambda: expect(ingest.ingest(key, source, terms), Outcome.RESTATED))
    changed = Capture.objects.filter(partition__week_ending=key.week_ending).order_by("-version")[0]
    if (changed.rows_added, changed.rows_changed, changed.rows_removed) != (0, 3, 0):
        raise AssertionError(f"not a restatement of three rows: {changed.reason}")


def expect(result: Result, outcome: Outcome) -> None:
    """What was measured is what was meant."""
    if result.outcome is not outcome:
        raise AssertionError(f"{outcome} was expected, not {result.outcome}: {result.reason}")


def stored_lines(key: PartitionKey) -> list[str]:
    """The rows just stored, as lines for the raw load, in the order of the primary key."""
    rows = RowVersion.objects.filter(partition__week_ending=key.week_ending, partition__tier=key.tier)
    return [
        f"{row[0]}\t{row[1]}\t\t{row[2]}\t{to_micros(row[3] or 0)}\t{row[4]}\t{bulk.NULL}\t{RAW_PARTITION}\t1"
        for row in rows.order_by("security_id", "venue_id").values_list(
            "security_id", "venue_id", "last_update_date", "shares", "trades"
        )
    ]


def raw_load(lines: list[str]) -> Callable[[], None]:
    """What the database itself can load: one COPY of ready bytes, or one executemany of ready rows."""
    table, columns = vintages.TABLE, ", ".join(COLUMNS)
    if connection.vendor == "postgresql":
        payload = ("\n".join(lines) + "\n").encode()

        def copy_payload() -> None:
            copying = f"COPY {table} ({columns}) FROM STDIN"
            with transaction.atomic(), connection.cursor() as cursor, cursor.copy(copying) as copy:
                copy.write(payload)

        return copy_payload
    rows = [tuple(None if field == bulk.NULL else field for field in line.split("\t")) for line in lines]

    def insert_rows() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({', '.join(['%s'] * len(COLUMNS))})", rows)

    return insert_rows


def read_and_hash(root: Path) -> str:
    """What an unchanged partition cannot do without."""
    digest = hashlib.sha256()
    for path in sorted(root.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def restate_three_rows(root: Path) -> None:
    """One more trade in three rows far apart."""
    path = next(path for path in root.iterdir() if ".nonats" not in path.name)
    lines = path.read_text().split("\n")
    for at in (len(lines) // 5, len(lines) // 2, len(lines) * 4 // 5):
        fields = lines[at].split("|")
        fields[6] = str(int(fields[6]) + 1)
        lines[at] = "|".join(fields)
    path.write_text("\n".join(lines))


def report(engine: str, times: Times) -> None:
    """The ratios, each with its two medians."""
    print(f"\n{engine}")
    for what, baseline in (
        ("first capture", "raw load"),
        ("unchanged", "read and hash"),
        ("restatement", "first capture"),
    ):
        mine, base = times.median(what), times.median(baseline)
        print(f"  {what:<14} / {baseline:<14} {mine / base:6.2f}x   ({mine * 1000:,.0f} ms / {base * 1000:,.0f} ms)")


if __name__ == "__main__":
    main()
