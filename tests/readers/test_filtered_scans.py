"""The conditions of a search find the same rows in vintage files as in memory: engines have been wrong there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.rows import SHARES as DECIMAL
from pipeline.readers.orders import Order
from pipeline.readers.row_search import begins, contains
from pipeline.readers.rows import one_of
from tests.readers.row_frames import SHARES, SYMBOLS, VENUES, WEEK, random_rows
from tests.readers.test_orders import KEY

FRAMES, FILES = 60, 3


def conditions(rng: random.Random, rows: pl.DataFrame) -> Iterator[pl.Expr]:
    """Those that the product uses, on values that are there and on others."""
    symbol, shares = rng.choice((*SYMBOLS, "NONE")), rng.choice(SHARES)
    yield one_of("symbol", (symbol,))
    yield one_of("symbol", (symbol, rng.choice(SYMBOLS)))
    yield begins("symbol", rng.choice(("", "A", "AMBR", "MS", "Q")))
    yield one_of("mpid", (rng.choice(("UBSA", "TWO", "NONE")),))
    yield contains(
        "venue_name", rng.choice(("ubs", "minimis", "EXECUTION", "none", "stra\N{LATIN SMALL LETTER SHARP S}e"))
    )
    yield contains("issue_name", rng.choice(("amber", "CLASS", "=1", "none")))
    yield one_of("symbol", (symbol,)) & one_of("mpid", (rng.choice(VENUES)[1],))
    yield pl.col("shares") >= pl.lit(shares, dtype=DECIMAL)
    yield pl.col("shares") == pl.lit(shares, dtype=DECIMAL)
    yield pl.col("notional").is_null() | (pl.col("trades") > rng.randrange(10))
    yield (pl.col("week_ending") == WEEK) & (pl.col("last_update_date") < WEEK + timedelta(days=rng.randrange(70)))
    if not rows.is_empty():
        order = Order(rows.schema, KEY, ("week_ending", "shares"))
        yield order.is_behind(order.place(rows.slice(rng.randrange(rows.height), 1)))


def written(folder: Path, seed: int, rng: random.Random) -> tuple[list[Path], pl.DataFrame]:
    """Frames of some partitions as files of small row groups, and their rows in memory."""
    keys = [PartitionKey(WEEK - timedelta(days=7 * weeks), rng.choice(list(Tier))) for weeks in range(FILES)]
    frames = [random_rows(seed * FILES + at, key) for at, key in enumerate(keys)]
    paths = [folder / f"{at}.parquet" for at in range(FILES)]
    for path, frame in zip(paths, frames, strict=True):
        group, page = rng.randrange(1, 20), rng.choice((16, 64, 256))
        frame.write_parquet(path, compression="zstd", row_group_size=group, data_page_size=page)
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
