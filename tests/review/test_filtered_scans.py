"""The conditions of a search find the same rows in vintage files as in memory: engines have been wrong there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.rows import SHARES as DECIMAL
from pipeline.review.row_order import is_after
from pipeline.review.row_words import issue_is_named, symbol_begins, symbol_is, venue_is, venue_is_named
from tests.review.row_frames import SHARES, SYMBOLS, VENUES, WEEK, random_rows
from tests.review.test_row_order import place_of

FRAMES, FILES = 60, 3


def conditions(rng: random.Random, rows: pl.DataFrame) -> Iterator[pl.Expr]:
    """Those that the product uses, on values that are there and on others."""
    symbol, shares = rng.choice((*SYMBOLS, "NONE")), rng.choice(SHARES)
    yield symbol_is(symbol)
    yield symbol_begins(rng.choice(("", "A", "AMBR", "MS", "Q")))
    yield venue_is(rng.choice(("UBSA", "ubsa", "149", "7", "NONE")))
    yield venue_is_named(rng.choice(("ubs", "minimis", "EXECUTION", "none", "stra\N{LATIN SMALL LETTER SHARP S}e")))
    yield issue_is_named(rng.choice(("amber", "CLASS", "=1", "none")))
    yield symbol_is(symbol) & venue_is(rng.choice(VENUES)[1])
    yield pl.col("shares") >= pl.lit(shares, dtype=DECIMAL)
    yield pl.col("shares") == pl.lit(shares, dtype=DECIMAL)
    yield pl.col("notional").is_null() | (pl.col("trades") > rng.randrange(10))
    yield (pl.col("week_ending") == WEEK) & (pl.col("last_update_date") < WEEK + timedelta(days=rng.randrange(70)))
    if not rows.is_empty():
        yield is_after(place_of(rows.row(rng.randrange(rows.height), named=True)))


def written(folder: Path, seed: int, rng: random.Random) -> tuple[list[Path], pl.DataFrame]:
    """Frames of some partitions as files of small row groups, and their rows in memory."""
    keys = [PartitionKey(WEEK - timedelta(days=7 * weeks), rng.choice(list(Tier))) for weeks in range(FILES)]
    frames = [random_rows(seed * FILES + at, key) for at, key in enumerate(keys)]
    paths = [folder / f"{at}.parquet" for at in range(FILES)]
    for path, frame in zip(paths, frames, strict=True):
        frame.write_parquet(path, compression="zstd", row_group_size=rng.randrange(1, 20))
    return paths, pl.concat(frames)


def test_conditions_find_alike_in_files_and_memory(tmp_path: Path) -> None:
    found = 0
    for seed in range(FRAMES // FILES):
        rng = random.Random(seed)
        paths, rows = written(tmp_path, seed, rng)
        for condition in conditions(rng, rows):
            scanned, expected = pl.scan_parquet(paths).filter(condition), rows.filter(condition)
            told = f"seed {seed}: {condition}"
            sums, least = scanned.select(pl.len(), pl.sum("shares", "trades")), scanned.sort("shares").head(1)
            all_found, total, first = pl.collect_all([scanned, sums, least])
            assert all_found.equals(expected), told
            assert total.row(0) == (expected.height, sum(expected["shares"]), sum(expected["trades"])), told
            assert first["shares"].to_list() == sorted(expected["shares"])[:1], told
            found += expected.height
    assert found > 2_000
