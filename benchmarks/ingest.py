"""How ingest compares with what the database itself can load: `python -m benchmarks.ingest [--rounds 5]`.

On PostgreSQL (started from its wheel, or TEST_DATABASE_URL) and SQLite, interleaved, for one NMS_TIER_2 partition of real
size (about 168,000 rows): the whole path of a first capture (read, hash, check, decide, archive, write the vintage file,
commit) against a raw load of the same rows (COPY; executemany on SQLite; `benchmarks.raw_loading`); an unchanged
partition against reading and hashing its bytes; a restatement of 3 rows, and the week's analytics, against the same raw
load. Medians of the rounds after one to warm up. Beside them: the processor time
of this process, and what each writes.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

from django.conf import settings

from benchmarks import program, raw_loading, written
from benchmarks.databases import ledgers, stored_in
from benchmarks.timing import Times
from benchmarks.written import Written
from pipeline.capture import ingest
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier, last_fridays
from pipeline.finra.samples import Size, publish
from pipeline.finra.sources.files.source import FilesSource
from pipeline.models import Calculation, Capture, Outcome
from pipeline.vintages import read
from pipeline.weeks import analytics
from tests.support.engines import Ledger, as_default

TIER = Tier.NMS_TIER_2
RUN_DATE = date(2026, 1, 5)
SEED = 7
RAW, BYTES = "raw load", "read and hash"
COMPARED = (
    ("first capture", RAW),
    ("unchanged", BYTES),
    ("restatement", RAW),
    ("its analytics", RAW),
)


@dataclass
class Bench:
    """One database, the storage beside it, and what was measured there."""

    ledger: Ledger
    storage: Path
    times: Times = field(default_factory=Times)
    written: dict[str, Written] = field(default_factory=dict)


def main() -> None:
    """Run the rounds, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, after one to warm up (default: 5)")
    parser.add_argument("--small", action="store_true", help="files of a 200th of the real size, for a quick try")
    options = parser.parse_args()
    size = Size.SMALL if options.small else Size.REAL
    with tempfile.TemporaryDirectory() as name, ledgers(Path(name)) as databases:
        benches = {engine: Bench(ledger, Path(name, "storage", engine)) for engine, ledger in databases.items()}
        for bench in benches.values():
            with as_default(bench.ledger):
                raw_loading.make_table()
        for week in last_fridays(options.rounds + 1, date(2025, 11, 14)):
            for engine, bench in benches.items():
                root = Path(name, "published", engine, week.isoformat())
                publish(root, weeks=[week], seed=SEED, size=size, tiers=(TIER,))
                with as_default(bench.ledger), stored_in(bench.storage):
                    one_round(bench, root, PartitionKey(week, TIER))
        for engine, bench in benches.items():
            report(engine, bench)


def one_round(bench: Bench, root: Path, key: PartitionKey) -> None:
    """First capture and raw load, unchanged and read-and-hash, restatement of three rows and the week's analytics."""
    source = FilesSource(root, settings.MARKETSPINE_MAX_FILE_BYTES)
    work = partial(ingest.ingest, key, source, Terms(run_date=RUN_DATE))
    first = captured(bench, "first capture", work, Outcome.INGESTED)
    frame = read.of_capture(first).collect()
    bench.times.measure(RAW, raw_loading.prepared(frame))
    raw_loading.clear()
    bench.times.measure(BYTES, lambda: read_and_hash(root))
    captured(bench, "unchanged", work, Outcome.UNCHANGED)
    analytics.calculate_week(key.week_ending)
    restate_three_rows(root)
    changed = captured(bench, "restatement", work, Outcome.RESTATED)
    if (changed.rows_added, changed.rows_changed, changed.rows_removed) != (0, 3, 0):
        raise AssertionError(f"not a restatement of three rows: {changed.reason}")
    calculated(bench, key.week_ending)


def captured(bench: Bench, what: str, work: Callable[[], Result], outcome: Outcome) -> Capture:
    """Measure what is done to the partition and what it writes; its newest capture."""
    before = written.now(bench.storage)
    result = bench.times.measure(what, work)
    bench.written[what] = written.now(bench.storage).since(before)
    if result.outcome is not outcome or result.capture is None:
        raise AssertionError(f"{outcome} was expected, not {result.outcome}: {result.reason}")
    return result.capture


def calculated(bench: Bench, week: date) -> None:
    """The same of a week's analytics."""
    before = written.now(bench.storage)
    done = bench.times.measure("its analytics", lambda: analytics.calculate_week(week))
    bench.written["its analytics"] = written.now(bench.storage).since(before)
    if done.outcome is not Calculation.COMPUTED:
        raise AssertionError(done.reason)


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


def report(engine: str, bench: Bench) -> None:
    """The ratios, each with its two medians, and what was written in the last round."""
    print(f"\n{engine}")
    for what, baseline in COMPARED:
        mine, base = bench.times.median(what), bench.times.median(baseline)
        ratio = f"{what:<14} / {baseline:<14} {mine / base:6.2f}x   ({mine * 1000:,.0f} ms / {base * 1000:,.0f} ms)"
        used = f"{bench.times.processor_median(what) * 1000:,.0f} ms of processor"
        print(f"  {ratio:<68} {used:<22} writes {bench.written[what]}")


if __name__ == "__main__":
    program.run(main)
