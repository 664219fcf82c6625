"""DuckDB reads the files of each sample size, and FINRA's own: the same rows, sums, shares, ranks and concentrations."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.content import Content
from pipeline.finra.formats import web_file
from pipeline.finra.payloads import Part, PartName, pack
from pipeline.finra.rows import FIRM
from pipeline.finra.samples import Size
from pipeline.finra.samples.publications import render
from pipeline.vintages.compare import difference_of
from pipeline.vintages.store import encoded
from pipeline.weeks.concentration import Figures, figures_of
from tests.judges import duckdb_figures

WEEK = date(2026, 2, 6)  # from that month on FINRA has fractional shares
REAL_WEEK = date(2025, 11, 14)
VENUE = ["scope", "venue_kind", "mpid", "crd", "firm"]
MARKET = ["scope", "family"]
SECURITY = [*MARKET, "symbol", "issue_name"]


@dataclass(frozen=True, slots=True)
class Written:
    """A week's contents by tier, its files, and the product's figures of them."""

    contents: Mapping[Tier, Content]
    files: list[Path]
    figures: Figures


def written(folder: Path, published: Mapping[Tier, tuple[Part, ...]], week: date) -> Written:
    contents = {
        tier: web_file.read(*pack(parts), PartitionKey(week, tier), max_reject_share=0.1)
        for tier, parts in published.items()
    }
    files = [folder / f"{tier}.parquet" for tier in contents]
    for path, content in zip(files, contents.values(), strict=True):
        path.write_bytes(encoded(content.frame, {}))
    return Written(contents, files, figures_of(pl.scan_parquet(files)))


def samples(size: Size, tiers: tuple[Tier, ...] = tuple(Tier)) -> dict[Tier, tuple[Part, ...]]:
    return {
        tier: tuple(Part(part, render(PartitionKey(WEEK, tier), part, 5, size)) for part in PartName) for tier in tiers
    }


@pytest.fixture(scope="module", params=["small", "real", "without OTC", "FINRA's OTC week"])
def week(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("files")
    if request.param == "without OTC":
        return written(folder, samples(Size.SMALL, (Tier.NMS_TIER_1, Tier.NMS_TIER_2)), WEEK)
    if request.param in {"small", "real"}:
        return written(folder, samples(Size(request.param)), WEEK)
    shared: Path = request.getfixturevalue("shared_data")
    content = (shared / f"otc_week_{REAL_WEEK}.psv").read_bytes()
    return written(folder, {Tier.OTC: (Part(PartName.ATS, content),)}, REAL_WEEK)


def same(found: pl.DataFrame, judged: pl.DataFrame, key: list[str]) -> None:
    """Equal in all but floats, which agree to 1e-12."""
    assert found.height == judged.height > 0
    columns = [name for name in judged.columns if name in found.columns]
    assert set(judged.columns) <= set(found.columns)
    assert_frame_equal(found.sort(key).select(columns), judged.sort(key), check_dtypes=False, rel_tol=1e-12, abs_tol=0)


def test_rows_are_those_of_the_payload_in_their_order(week: Written) -> None:
    judged = duckdb_figures.rows(week.files)
    read = pl.concat([week.contents[tier].frame for tier in sorted(week.contents)])
    assert judged.rows() == read.rows()


def test_sums_are_exact(week: Written) -> None:
    sql = "SELECT tier, sum(shares), sum(trades)::BIGINT, count(*) FROM read_parquet($files) GROUP BY tier"
    judged = {tier: sums for tier, *sums in duckdb_figures.asked(sql, week.files).iter_rows()}
    assert judged == {
        tier.value: [content.shares, content.trades, content.rows_kept] for tier, content in week.contents.items()
    }


def test_shares_and_ranks_of_venues(week: Written) -> None:
    same(week.figures.venues.with_columns(FIRM), duckdb_figures.venues(week.files), VENUE)


def test_concentration_of_the_market(week: Written) -> None:
    same(week.figures.markets, duckdb_figures.markets(week.files), MARKET)


def test_concentration_of_each_symbol(week: Written) -> None:
    same(week.figures.symbols, duckdb_figures.symbols(week.files), SECURITY)


def test_difference_of_two_vintages(week: Written, tmp_path: Path) -> None:
    before = week.contents[max(week.contents)].frame
    row, dice = pl.int_range(pl.len()), random.Random(7)
    chosen = pl.Series(dice.sample(range(before.height), 90))
    changed, removed, renamed = (row.is_in(chosen[at : at + 30].implode()) for at in (0, 30, 60))
    after = before.with_columns(
        trades=pl.when(changed).then(pl.col("trades") + 1).otherwise("trades"),
        issue_name=pl.when(renamed).then("RENAMED " + pl.col("issue_name")).otherwise("issue_name"),
    ).filter(~removed)
    files = [tmp_path / "before.parquet", tmp_path / "after.parquet"]
    for path, frame in zip(files, (before, after), strict=True):
        path.write_bytes(encoded(frame, {}))
    found = difference_of(before, after)
    assert (found.added, found.changed, found.removed, found.unchanged) == (30, 30, 60, before.height - 90)
    same(found.rows, duckdb_figures.difference(*files), list(duckdb_figures.KEY))
