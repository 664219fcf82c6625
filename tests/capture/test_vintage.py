"""A vintage beside the one before it: the counts, and the columns that the web file and the API have in common."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from pipeline.capture.plausibility import Change, Size, changes_by_kind
from pipeline.capture.vintage import Vintage, in_common
from pipeline.finra.content import content_of
from pipeline.finra.payloads import PartName
from pipeline.finra.rows import NOTIONAL
from pipeline.models import Capture
from pipeline.vintages.compare import Changes, Counts, difference_of
from tests.vintages.frames import frame_of

ROWS = [("AAPL", "UBSA", "100", 2), ("AAPL", "Firm", "50", 1), ("MSFT", "UBSA", "7", 1)]
NEXT = [("AAPL", "UBSA", "101", 2), ("AAPL", "Firm", "50", 1), ("IBM", "Firm", "9", 1), ("F", "Firm", "3", 1)]


def of_api(frame: pl.DataFrame, crd: str, product_type: str) -> pl.DataFrame:
    """The rows as the API gives them."""
    dollars = pl.lit(Decimal("12.5"), NOTIONAL)
    return frame.with_columns(crd=pl.lit(crd), product_type=pl.lit(product_type), notional=dollars)


def four(counts: Counts) -> tuple[int, int, int, int]:
    """The counts themselves: those of `Changes` are beside its rows."""
    return counts.added, counts.changed, counts.removed, counts.unchanged


def changes(before: pl.DataFrame, after: pl.DataFrame) -> tuple[int, int, int, int]:
    return four(difference_of(in_common(before), in_common(after)))


def test_the_api_and_the_web_file_are_compared_in_common_columns() -> None:
    web, again = frame_of(ROWS), frame_of(NEXT)
    assert changes(web, of_api(web, "12345", "CMN")) == (0, 0, 0, 3)
    assert changes(of_api(web, "12345", "CMN"), again) == (2, 1, 1, 1)


def test_rows_that_differ_only_where_a_source_is_blank_are_told_apart() -> None:
    web = frame_of(ROWS)
    twice = pl.concat([of_api(web, "1", "CMN"), of_api(web, "2", "ADR")])
    assert changes(twice, pl.concat([web, web])) == (0, 0, 0, 6)
    assert changes(web, twice) == (3, 0, 0, 3)


def test_a_capture_counts_the_changes_to_the_one_before_it() -> None:
    content = content_of(frame_of(NEXT), [])
    difference = difference_of(frame_of(ROWS), content.frame)
    assert four(Vintage(content, Capture(), difference).counts) == (2, 1, 1, 1)
    assert four(Vintage(content, Capture()).counts) == (0, 0, 0, 4)
    assert four(Vintage(content, None).counts) == (4, 0, 0, 0)


def test_changes_are_counted_in_all_and_of_each_kind_held() -> None:
    found = difference_of(frame_of(ROWS), frame_of(NEXT))
    ats, firms = Size(2, Decimal(107)), Size(1, Decimal(50))
    assert changes_by_kind(found, {PartName.ATS: ats, PartName.NON_ATS: firms}) == {
        "": Change(held=Size(3, Decimal(157)), changed=1, added=2, removed=1, moved=Decimal(20)),
        "ATS ": Change(held=ats, changed=1, added=0, removed=1, moved=Decimal(8)),
        "non-ATS ": Change(held=firms, changed=0, added=2, removed=0, moved=Decimal(12)),
    }
    assert changes_by_kind(found, {PartName.ATS: ats})[""] == Change(ats, 1, 0, 1, Decimal(8))


def test_no_changes_are_none_of_any_kind() -> None:
    same: Changes = difference_of(frame_of(ROWS), frame_of(ROWS))
    assert changes_by_kind(same, {PartName.ATS: Size(2, Decimal(107))})[""] == Change(
        Size(2, Decimal(107)), 0, 0, 0, Decimal(0)
    )
