"""One week's analytics: exact sums, ranks, intervals, and snapshots that name what they came from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from polars.testing import assert_frame_equal

from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import (
    ALL_TIERS,
    AnalyticsSnapshot,
    Family,
    Manifest,
    MarketConcentration,
    Stage,
    VenueVolume,
)
from pipeline.vintages.read import NoSuchVintage
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import analytics, results, symbols
from pipeline.weeks.concentration import Figures
from pipeline.weeks.symbols import SymbolConcentration
from tests.support.capturing import NOON, at_once, captured, hours_later
from tests.support.engines import Engines, Ledger
from tests.support.ledger_state import archived_files
from tests.support.sources_in_memory import MemorySource, psv, row

pytestmark = pytest.mark.usefixtures("few_rows")

WEEK = date(2025, 11, 14)
OTHER = date(2025, 11, 21)
MOST_SHARES = "999999999999.999999"  # of a row


def publish(source: MemorySource, tier: Tier, ats: Sequence[str], firms: Sequence[str] = (), week: date = WEEK) -> None:
    """Capture a partition of ATS rows and, where there are any, rows of firms."""
    key = PartitionKey(week, tier)
    source.publish(key, psv(*ats), psv(*firms) if firms else None)
    assert ingest.ingest(key, source, Terms(run_date=date(2026, 1, 5))).capture is not None


def market(scope: str, family: Family) -> MarketConcentration:
    return MarketConcentration.objects.order_by("-snapshot__sequence").filter(scope=scope, family=family)[0]


def volumes(scope: str) -> dict[str, VenueVolume]:
    return {volume.venue: volume for volume in VenueVolume.objects.filter(scope=scope)}


def concentrations(scope: str, family: Family) -> dict[str, SymbolConcentration]:
    """Of each symbol, in the snapshot that was computed last."""
    snapshot = AnalyticsSnapshot.objects.latest("pk")
    return {found.symbol: found for found in symbols.listed(symbols.largest(snapshot, scope, family))}


def test_the_most_shares_in_each_of_many_rows_add_up_exactly(ledger: Ledger) -> None:
    lines = [row(f"S{n:02}", mpid, MOST_SHARES, 10**11) for n in range(20) for mpid in ("AAAA", "BBBB")]
    publish(MemorySource(), Tier.OTC, lines)
    analytics.calculate_week(WEEK)
    each = Decimal(MOST_SHARES)
    assert volumes("OTC")["AAAA"].shares == 20 * each
    assert market("OTC", Family.ATS).shares == 40 * each
    assert market("OTC", Family.ATS).trades == 40 * 10**11
    assert {found.shares for found in concentrations("OTC", Family.ATS).values()} == {2 * each}
    assert market("OTC", Family.ATS).hhi_high == pytest.approx(0.5, rel=1e-12)


def test_share_rank_and_average_trade_size(ledger: Ledger) -> None:
    lines = [row("A", "AAAA", 50, 5), row("A", "BBBB", 25, 10), row("B", "CCCC", 25, 0), row("B", "AAAA", 0, 0)]
    publish(MemorySource(), Tier.OTC, lines)
    analytics.calculate_week(WEEK)
    found = volumes("OTC")
    assert {name: (volume.share, volume.rank) for name, volume in found.items()} == {
        "AAAA": (0.5, 1),
        "BBBB": (0.25, 2),
        "CCCC": (0.25, 2),
    }
    assert (found["AAAA"].symbols, found["AAAA"].average_trade_size) == (2, 10.0)
    assert found["CCCC"].average_trade_size is None
    assert found["AAAA"].share_of_all is None, "no non-ATS volume is captured"


def test_the_pool_makes_concentration_an_interval(ledger: Ledger) -> None:
    firms = [row("A", "", 60, name="Firm One"), row("A", "", 40, name="De Minimis Firms")]
    publish(MemorySource(), Tier.OTC, [row("A", "AAAA", 100)], firms)
    analytics.calculate_week(WEEK)
    non_ats, both = market("OTC", Family.NON_ATS), market("OTC", Family.ALL)
    assert (non_ats.hhi_low, non_ats.hhi_high) == pytest.approx((0.36, 0.52), rel=1e-12)
    assert (both.hhi_low, both.hhi_high) == pytest.approx((0.34, 0.38), rel=1e-12)
    assert volumes("OTC")["AAAA"].share_of_all == 0.5
    assert volumes("OTC")["De Minimis Firms"].rank_of_all == 3
    symbol = concentrations("OTC", Family.NON_ATS)["A"]
    assert (symbol.hhi_low, symbol.hhi_high) == pytest.approx((0.36, 0.52), rel=1e-12)


def test_a_small_firm_is_not_lost_in_rounding(ledger: Ledger) -> None:
    firms = [row("A", "", 1, name="Firm One"), row("A", "", 10**11, name="De Minimis Firms")]
    publish(MemorySource(), Tier.OTC, [row("A", "AAAA", 1)], firms)
    analytics.calculate_week(WEEK)
    symbol = concentrations("OTC", Family.NON_ATS)["A"]
    assert symbol.hhi_low == pytest.approx(1 / (10**11 + 1) ** 2, rel=1e-12)


def test_no_volume_has_no_concentration(ledger: Ledger) -> None:
    publish(MemorySource(), Tier.OTC, [row("A", "AAAA", 0, 0), row("A", "BBBB", 0, 0)])
    analytics.calculate_week(WEEK)
    assert (market("OTC", Family.ATS).hhi_low, market("OTC", Family.ATS).hhi_high) == (None, None)
    assert {volume.share for volume in VenueVolume.objects.all()} == {None}
    assert concentrations("OTC", Family.ATS)["A"].hhi_high is None


def test_results_over_all_tiers_wait_for_all_tiers(ledger: Ledger) -> None:
    source = MemorySource()
    publish(source, Tier.NMS_TIER_1, [row("BOTH", "AAAA", 30, tier=Tier.NMS_TIER_1)])
    publish(source, Tier.NMS_TIER_2, [row("BOTH", "BBBB", 10, tier=Tier.NMS_TIER_2)])
    analytics.calculate_week(WEEK)
    assert not MarketConcentration.objects.filter(scope=ALL_TIERS).exists()
    publish(source, Tier.OTC, [row("ONLY", "AAAA", 60)])
    analytics.calculate_week(WEEK)
    over_all = market(ALL_TIERS, Family.ATS)
    assert (over_all.shares, over_all.symbols, over_all.venues) == (Decimal(100), 2, 2)
    assert over_all.hhi_high == pytest.approx(0.82, rel=1e-12)
    by_symbol = concentrations(ALL_TIERS, Family.ATS)
    found = {symbol: (each.shares, each.hhi_high) for symbol, each in by_symbol.items()}
    assert found == {"BOTH": (Decimal(40), pytest.approx(0.625)), "ONLY": (Decimal(60), 1.0)}


def test_a_kind_that_one_tier_lacks_has_no_result_over_all_tiers(ledger: Ledger) -> None:
    source = MemorySource()
    firm = [row("A", "", 5, name="Firm One", tier=Tier.NMS_TIER_1)]
    publish(source, Tier.NMS_TIER_1, [row("A", "AAAA", 1, tier=Tier.NMS_TIER_1)], firm)
    publish(source, Tier.NMS_TIER_2, [row("A", "AAAA", 1, tier=Tier.NMS_TIER_2)])
    publish(source, Tier.OTC, [row("A", "AAAA", 1)])
    analytics.calculate_week(WEEK)
    families = MarketConcentration.objects.values_list("scope", "family")
    assert set(families) == {
        ("NMS_TIER_1", "ATS"),
        ("NMS_TIER_1", "NON_ATS"),
        ("NMS_TIER_1", "ALL"),
        ("NMS_TIER_2", "ATS"),
        ("OTC", "ATS"),
        ("ALL", "ATS"),
    }


@pytest.mark.promise(2)
def test_the_same_inputs_make_no_second_snapshot(ledger: Ledger) -> None:
    publish(MemorySource(), Tier.OTC, [row("A", "AAAA", 1)])
    assert analytics.calculate_week(WEEK).outcome == "COMPUTED"
    again = analytics.calculate_week(WEEK)
    assert (again.outcome, AnalyticsSnapshot.objects.count()) == ("UNCHANGED", 1)
    assert VenueVolume.objects.count() == 1


@pytest.mark.promise(6)
def test_a_restatement_adds_a_snapshot_of_that_week_that_names_its_captures(ledger: Ledger) -> None:
    source = MemorySource()
    publish(source, Tier.OTC, [row("A", "AAAA", 1), row("A", "BBBB", 1)])
    publish(source, Tier.OTC, [row("A", "AAAA", 1, updated="2025-12-22")], week=OTHER)
    for week in (WEEK, OTHER):
        analytics.calculate_week(week)
    restated = captured(source, [row("A", "AAAA", 3), row("A", "BBBB", 1)])
    for week in (WEEK, OTHER):
        analytics.calculate_week(week)
    assert list(AnalyticsSnapshot.objects.values_list("week_ending", "sequence")) == [(OTHER, 1), (WEEK, 2), (WEEK, 1)]
    old, new = AnalyticsSnapshot.objects.filter(week_ending=WEEK).order_by("sequence")
    assert [capture.version for capture in old.inputs.all()] == [1]
    assert list(new.inputs.all()) == [restated]
    shares = VenueVolume.objects.filter(mpid="AAAA", snapshot__week_ending=WEEK).order_by("snapshot__sequence")
    assert [volume.share for volume in shares] == [0.5, 0.75], "the older snapshot stays as it was"
    manifest = Manifest.objects.get(snapshot=new)
    assert (manifest.stage, manifest.checksum, manifest.rows_kept) == (Stage.CALC, new.inputs_hash, 2)


def test_a_manifest_has_the_sums_and_the_time_of_a_calculation(ledger: Ledger) -> None:
    source, started = MemorySource(), time.monotonic()
    firms = [row("A", "", "0.5", 4, name="Firm One", tier=Tier.NMS_TIER_1)]
    publish(source, Tier.NMS_TIER_1, [row("A", "AAAA", "1.25", 2, tier=Tier.NMS_TIER_1)], firms)
    publish(source, Tier.NMS_TIER_2, [row("D", "AAAA", 0, 0, tier=Tier.NMS_TIER_2)])
    publish(source, Tier.OTC, [row("B", "AAAA", 7, 3), row("C", "AAAA", 9, 5)])
    snapshot = analytics.calculate_week(WEEK).snapshot
    manifest = Manifest.objects.get(stage=Stage.CALC)
    assert (manifest.snapshot, manifest.checksum) == (snapshot, snapshot and snapshot.inputs_hash)
    assert (manifest.rows_in, manifest.rows_kept, manifest.rows_rejected) == (5, 5, 0)
    assert (manifest.shares, manifest.trades) == (Decimal("17.75"), 14)
    assert 0 < manifest.duration.total_seconds() <= time.monotonic() - started


def test_a_lost_vintage_file_is_named_and_nothing_is_stored(ledger: Ledger) -> None:
    lost = captured(MemorySource(), [row("A", "AAAA", 1)])
    content = Path(default_storage.path(lost.vintage_path)).read_bytes()
    default_storage.delete(lost.vintage_path)
    default_storage.save("vintages/2025-11-14/OTC/another.parquet", ContentFile(b""))  # the storage is mounted
    with pytest.raises(VintageDamaged, match=f"{lost}: its vintage file is missing"):
        analytics.calculate_week(WEEK)
    assert (AnalyticsSnapshot.objects.count(), default_storage.exists("analytics")) == (0, False)
    Path(default_storage.path(lost.vintage_path)).write_bytes(content[:-1] + b"?")  # of the same size
    with pytest.raises(VintageDamaged, match="its hash differs"):
        analytics.calculate_week(WEEK)


@pytest.mark.promise(10)
def test_two_at_once_compute_a_week_once(ledger: Ledger) -> None:
    publish(MemorySource(), Tier.OTC, [row(f"S{n}", mpid, n + 1) for n in range(50) for mpid in ("AAAA", "BBBB")])
    outcomes = at_once(lambda: analytics.calculate_week(WEEK).outcome, lambda: analytics.calculate_week(WEEK).outcome)
    assert sorted(outcomes) == ["COMPUTED", "UNCHANGED"]
    assert AnalyticsSnapshot.objects.count() == 1
    assert VenueVolume.objects.count() == 2


def test_a_week_without_captures_is_skipped(ledger: Ledger) -> None:
    assert analytics.calculate_week(WEEK).outcome == "SKIPPED"
    assert not AnalyticsSnapshot.objects.exists()


@pytest.mark.promise(12)
def test_both_databases_compute_the_same(engines: Engines) -> None:
    seen = []
    for engine in ("sqlite", "postgresql"):
        with engines.using(engine):
            lines = [
                row(f"S{n}", mpid, f"{n * 7 + 1}.{n:02}5", n) for n in range(40) for mpid in ("AAAA", "BBBB", "CCCC")
            ]
            firms = [row(f"S{n}", "", n + 1, name=name) for n in range(40) for name in ("Firm", "De Minimis Firms")]
            publish(MemorySource(), Tier.OTC, lines, firms)
            analytics.calculate_week(WEEK)
            seen.append(results.of_snapshot(AnalyticsSnapshot.objects.get()))
    check_same(*seen)
    assert seen[0].symbols.height == 120


def test_a_snapshot_is_read_back_as_it_was_computed(ledger: Ledger) -> None:
    firms = [row("A", "", 60, name="Firm One"), row("A", "", 40, name="De Minimis Firms")]
    publish(MemorySource(), Tier.OTC, [row("A", "AAAA", "1.5"), row("A", "BBBB", 0, 0)], firms)
    calculated = analytics.calculate_week(WEEK)
    assert calculated.snapshot is not None
    check_same(results.of_snapshot(calculated.snapshot), analytics._figures(analytics.inputs_of(WEEK)))


@pytest.mark.promise(5)
def test_as_of_has_the_snapshot_of_what_was_newest_then(ledger: Ledger) -> None:
    source = MemorySource()
    for hour, shares in ((0, 1), (2, 3)):
        with hours_later(hour):
            captured(source, [row("A", "AAAA", shares), row("A", "BBBB", 1)])
            analytics.calculate_week(WEEK)
    old, new = AnalyticsSnapshot.objects.order_by("sequence")
    for hour, snapshot, shares in ((1, old, 1), (2, new, 3)):
        found = analytics.as_of(NOON + timedelta(hours=hour), WEEK)
        assert (found.snapshot, found.captures) == (snapshot, list(snapshot.inputs.all()))
        assert found.figures.venues.filter(mpid="AAAA")["shares"].to_list() == [shares]
        assert found.figures.symbols["shares"].to_list() == [shares + 1]
    assert AnalyticsSnapshot.objects.count() == 2


@pytest.mark.promise(5)
def test_as_of_computes_what_no_snapshot_has_and_stores_nothing(ledger: Ledger) -> None:
    source = MemorySource()
    with hours_later(0):
        first = captured(source, [row("A", "AAAA", 1), row("A", "BBBB", 3)])
    with hours_later(2):
        captured(source, [row("A", "AAAA", 2), row("A", "BBBB", 3)])
        analytics.calculate_week(WEEK)
    before = archived_files()
    found = analytics.as_of(NOON + timedelta(hours=1), WEEK)
    assert (found.captures, found.snapshot) == ([first], None)
    assert found.figures.venues.select("mpid", "share", "rank").rows() == [("BBBB", 0.75, 1), ("AAAA", 0.25, 2)]
    assert found.figures.markets["shares"].to_list() == [4]
    assert (AnalyticsSnapshot.objects.count(), archived_files()) == (1, before)


def test_as_of_computes_where_the_file_of_the_snapshots_symbols_is_lost(ledger: Ledger) -> None:
    captured(MemorySource(), [row("A", "AAAA", 1), row("A", "BBBB", 3)])
    snapshot = analytics.calculate_week(WEEK).snapshot
    assert snapshot is not None
    before = analytics.as_of(timezone.now(), WEEK)
    default_storage.delete(snapshot.symbols_path)
    found = analytics.as_of(timezone.now(), WEEK)
    assert found.snapshot == snapshot
    check_same(found.figures, before.figures)
    assert not default_storage.exists(snapshot.symbols_path)


def test_as_of_before_the_first_capture_has_no_figures(ledger: Ledger) -> None:
    with hours_later(1):
        publish(MemorySource(), Tier.OTC, [row("A", "AAAA", 1)])
    found = analytics.as_of(NOON, WEEK)
    assert (found.captures, found.snapshot, found.figures.symbols.height) == ([], None, 0)


def test_as_of_an_instant_to_come_is_refused(ledger: Ledger) -> None:
    with pytest.raises(NoSuchVintage, match="is in the future"):
        analytics.as_of("2999-01-01", WEEK)


def check_same(one: Figures, other: Figures) -> None:
    """AssertionError where a sum differs at all, or a share or HHI by more than 1e-12."""
    for table in ("venues", "markets", "symbols"):
        assert_frame_equal(getattr(one, table), getattr(other, table), rel_tol=1e-12, abs_tol=0)
