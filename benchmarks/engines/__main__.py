"""polars, DuckDB and pyarrow at the work of this product: `python -m benchmarks.engines [--rounds 5] [--small]`.

One NMS_TIER_2 week of real size is read, hashed and written; a week of three tiers is computed from its files; two vintages
that differ in three rows are compared; one symbol is looked up over a year (156 files: links to those of one week).
Every engine must give the same answers, and has the same number of threads. Rounds are interleaved; medians.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl

from benchmarks import program
from benchmarks.engines.in_duckdb import DuckDB
from benchmarks.engines.in_polars import Polars
from benchmarks.engines.in_pyarrow import PyArrow
from benchmarks.engines.work import KINDS, Engine, Week
from benchmarks.fleet import load
from benchmarks.timing import Answer, Times
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import PartName
from pipeline.finra.samples import Size
from pipeline.finra.samples.publications import render

WEEK = date(2025, 11, 14)
SEED = 7
WEEKS = 52
LARGEST = Tier.NMS_TIER_2
WORK = ("read, check, sort", "hash", "write Parquet", "a week's analytics", "difference", "a symbol in 156 files")


def main() -> None:
    """Prepare, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, after one to warm up (default: 5)")
    parser.add_argument("--small", action="store_true", help="small files, for a quick try")
    options = parser.parse_args()
    print(f"before: {load()}; {pl.thread_pool_size()} threads", flush=True)
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), Size.SMALL if options.small else Size.REAL, options.rounds)
    print(f"after: {load()}")


def measure(folder: Path, size: Size, rounds: int) -> None:
    """All rounds, the engines in turn, then the table."""
    bench = Bench(folder, size)
    for number in range(rounds + 1):
        for name in list(bench.engines)[number % 3 :] + list(bench.engines)[: number % 3]:
            bench.one_round(name)
    print(f"\n{bench.rows:,} rows; medians of {rounds} rounds, milliseconds")
    print(f"  {'':<24}" + "".join(f"{name:>10}" for name in bench.engines))
    for work in WORK:
        medians = [bench.times[name].median(work) * 1000 for name in bench.engines]
        print(f"  {work:<24}" + "".join(f"{median:>10,.0f}" for median in medians))
    print(f"  {'bytes of the file':<24}" + "".join(f"{bench.sizes[name]:>10,}" for name in bench.engines))


class Bench:
    """The files, the engines and what they answered."""

    def __init__(self, folder: Path, size: Size) -> None:
        key = PartitionKey(WEEK, LARGEST)
        self.folder = folder
        self.engines: dict[str, Engine] = {
            "polars": Polars(key),
            "DuckDB": DuckDB(key, folder, pl.thread_pool_size()),
            "pyarrow": PyArrow(key),
        }
        self.times = {name: Times() for name in self.engines}
        self.sizes: dict[str, int] = {}
        self.answers: dict[str, object] = {}
        self.parts = _parts(key, size)
        self.week, frames = [], {}
        for tier in Tier:
            frames[tier] = Polars(PartitionKey(WEEK, tier)).read(_parts(PartitionKey(WEEK, tier), size))
            self.week.append(folder / f"{tier}.parquet")
            self.engines["polars"].write(frames[tier], self.week[-1])
        self.rows = frames[LARGEST].height
        self.symbol = frames[LARGEST]["symbol"][self.rows // 2]
        self.restated = folder / "restated.parquet"
        self.engines["polars"].write(_restated(frames[LARGEST]), self.restated)
        self.year = _linked(self.week, folder)

    def one_round(self, name: str) -> None:
        """All of the work, once; AssertionError where an answer is another than polars'."""
        engine, path = self.engines[name], self.folder / f"written-by-{name}.parquet"
        table = self._measured(name, WORK[0], lambda: engine.read(self.parts))
        self._same(WORK[1], self._measured(name, WORK[1], lambda: engine.content_hash(table)))
        self._measured(name, WORK[2], lambda: engine.write(table, path))
        self.sizes[name] = path.stat().st_size
        week = self._measured(name, WORK[3], lambda: engine.week(self.week))
        first = self.answers.setdefault(WORK[3], week)
        assert isinstance(first, Week)
        assert week.is_that_of(first), f"{name}: {week}, not {first}"
        difference = self._measured(
            name, WORK[4], lambda: engine.difference(self.week[list(Tier).index(LARGEST)], self.restated)
        )
        assert difference == (1, 3, 1), f"{name}: {difference}"
        self._same(WORK[5], self._measured(name, WORK[5], lambda: engine.of_symbol(self.year, self.symbol)))

    def _same(self, work: str, answer: object) -> None:
        first = self.answers.setdefault(work, answer)
        assert answer == first, f"{work}: {answer}, not {first}"

    def _measured(self, name: str, work: str, does: Callable[[], Answer]) -> Answer:
        return self.times[name].measure(work, does)


def _parts(key: PartitionKey, size: Size) -> dict[str, bytes]:
    return {
        kind: render(key, part, SEED, size) for kind, part in zip(KINDS, (PartName.ATS, PartName.NON_ATS), strict=True)
    }


def _restated(frame: pl.DataFrame) -> pl.DataFrame:
    """Three rows changed, one removed, one added."""
    height = frame.height
    places = pl.Series([height // 5, height // 2, height * 4 // 5])
    row = pl.int_range(pl.len())
    changed = frame.with_columns(
        pl.when(row.is_in(places.implode())).then(pl.col("trades") + 1).otherwise("trades").alias("trades")
    )
    added = frame.tail(1).with_columns(pl.lit("ZZZZZ").alias("symbol"))
    return pl.concat([changed.tail(height - 1), added])


def _linked(week: list[Path], folder: Path) -> list[Path]:
    """A year of files: links to those of one week."""
    linked = [folder / f"{number}-{path.name}" for number in range(WEEKS) for path in week]
    for link, path in zip(linked, week * WEEKS, strict=True):
        link.hardlink_to(path)
    return linked


if __name__ == "__main__":
    program.run(main)
