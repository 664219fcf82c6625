"""The page of a snapshot's symbols: a scope and kind at a time, the largest first, found by how they begin."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from django.core.files.storage import default_storage
from django.test import Client

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import AnalyticsSnapshot
from pipeline.weeks import analytics
from tests.admin.vintages import SCRIPT, signed_in
from tests.support.engines import Ledger
from tests.vintages.frames import WEEK, stored

KNOWN = datetime(2025, 12, 15, 12, tzinfo=UTC)
LINES = (
    ("AAPL", "UBSA", "60", 3),
    ("AAPL", "Firm One", "30", 2),
    ("AAPL", "De Minimis Firms", "10", 1),
    ("AA", "UBSA", "125.5", 7),
    ("ZZZZ", "De Minimis Firms", "4", 1),
    ("NONE", "SGMT", "0", 0),
)


@pytest.fixture
def snapshot(ledger: Ledger) -> AnalyticsSnapshot:
    """Of a week of three tiers."""
    for tier in Tier:
        stored(LINES, KNOWN, key=PartitionKey(WEEK, tier))
    calculated = analytics.calculate_week(WEEK).snapshot
    assert calculated is not None
    return calculated


def address(snapshot: AnalyticsSnapshot) -> str:
    return f"/admin/pipeline/analyticssnapshot/{snapshot.pk}/symbols/"


def found(viewer: Client, snapshot: AnalyticsSnapshot, **asked: str) -> list[tuple[str, ...]]:
    """Each symbol with its shares, venues, points, effective venues."""
    lines = viewer.get(address(snapshot), asked).context["symbols"]
    return [(line.found.symbol, line.figures[0], line.figures[2], line.points, line.effective) for line in lines]


def test_a_scope_and_kind_has_its_symbols_the_largest_first(snapshot: AnalyticsSnapshot) -> None:
    viewer = signed_in("Viewer")

    assert found(viewer, snapshot, scope="OTC", kind="ALL") == [
        ("AA", "125.5", "1", "10,000.0", "1.0"),
        ("AAPL", "100", "3", "4,500.0 to 4,600.0", "2.2"),
        ("ZZZZ", "4", "1", "0.0 to 10,000.0", "1.0 to any number"),
        ("NONE", "0", "1", "-", "-"),
    ]
    assert [line[:2] for line in found(viewer, snapshot)] == [
        ("AA", "376.5"), ("AAPL", "300"), ("ZZZZ", "12"), ("NONE", "0"),
    ]  # fmt: skip
    assert [line[0] for line in found(viewer, snapshot, scope="OTC", kind="NON_ATS")] == ["AAPL", "ZZZZ"]


def test_symbols_are_searched_by_how_they_begin(snapshot: AnalyticsSnapshot) -> None:
    viewer = signed_in("Viewer")

    assert [line[0] for line in found(viewer, snapshot, symbol="AAP")] == ["AAPL"]
    page = viewer.get(address(snapshot), {"symbol": "aap", "scope": "OTC", "kind": "ATS"})
    assert "No symbol begins with aap." in page.content.decode()
    assert "scope=OTC&amp;kind=NON_ATS&amp;symbol=aap" in page.content.decode()
    assert SCRIPT not in viewer.get(address(snapshot), {"symbol": SCRIPT, "scope": SCRIPT}).content.decode()


def test_the_page_of_a_snapshot_leads_to_its_symbols(snapshot: AnalyticsSnapshot) -> None:
    page = signed_in("Viewer").get(f"/admin/pipeline/analyticssnapshot/{snapshot.pk}/change/")

    assert address(snapshot) in page.content.decode()


def test_a_lost_file_is_named_in_the_place_of_the_symbols(snapshot: AnalyticsSnapshot) -> None:
    Path(default_storage.path(snapshot.symbols_path)).unlink()
    page = signed_in("Viewer").get(address(snapshot))

    assert page.status_code == 200
    repair = f"`python manage.py rebuild_vintages --weeks {WEEK}`"
    told = f"the file of its symbols is missing ({snapshot.symbols_path}); {repair}"
    assert told in html.unescape(page.content.decode())
    assert signed_in("Operator").get(address(snapshot).rstrip("/") + ".csv").status_code == 409


def test_the_symbols_found_are_downloaded_as_csv_and_parquet(snapshot: AnalyticsSnapshot) -> None:
    viewer, asked = signed_in("Viewer"), {"scope": "OTC", "kind": "NON_ATS", "symbol": "Z"}
    csv = viewer.get(address(snapshot).rstrip("/") + ".csv", asked)
    parquet = viewer.get(address(snapshot).rstrip("/") + ".parquet", asked)

    assert b"".join(csv).decode().splitlines() == [
        "week_ending,scope,family,symbol,issue_name,shares,trades,venues,hhi_low,hhi_high",
        "2025-11-14,OTC,NON_ATS,ZZZZ,ZZZZ Inc,4,1,1,0.0,1.0",
    ]
    assert 'filename="symbols_2025-11-14_s1_OTC_NON_ATS.csv"' in csv["Content-Disposition"]
    (row,) = pl.read_parquet(BytesIO(parquet.content)).rows(named=True)
    assert (row["symbol"], row["shares"], row["hhi_low"], row["hhi_high"]) == ("ZZZZ", Decimal(4), 0.0, 1.0)
