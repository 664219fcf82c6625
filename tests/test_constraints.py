"""What the databases themselves refuse, whoever writes: each constraint of the ledger and the rows, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.models import F, Model
from django.utils import timezone

from pipeline import archive_checks, operations, runs
from pipeline.calendar import Tier
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Capture,
    FileCheck,
    LedgerKind,
    Manifest,
    MarketConcentration,
    OperatorLogEntry,
    Partition,
    Readiness,
    Reject,
    RowVersion,
    Run,
    RunPartition,
    RunWeek,
    Security,
    SymbolConcentration,
    Venue,
    VenueVolume,
)
from pipeline.operations import Order
from pipeline.planning import Request, make_plan
from tests.capturing import DAY, KEY, WEEK
from tests.engines import Ledger
from tests.sources_in_memory import MemorySource, psv, row

ATS = [row(symbol, mpid, 10) for symbol in ("AAPL", "MSFT", "IBM", "F", "GE") for mpid in ("UBSA", "SGMT")]
FIRMS = [row("AAPL", "", 5, name=f"Firm {number}") for number in range(10)]
NOW = timezone.now()


@pytest.fixture
def stored(ledger: Ledger) -> Ledger:
    """A ledger in which every table has a row: a run captured a partition with a reject, and computed its week."""
    source = MemorySource()
    source.publish(KEY, psv(*ATS, "OTC|short"), psv(*FIRMS))
    request = Request(command="run_weekly", run_date=DAY, tiers=(Tier.OTC,), weeks=(WEEK,))
    runs.execute(runs.start(make_plan(request, {KEY})), source)
    operations.pin(Capture.objects.get(), Order(operator="olive", reason="evidence"))
    archive_checks.read_in_turn(1)
    return ledger


def copied(model: type[Model], where: dict[str, object] | None = None, **changes: object) -> Callable[[], object]:
    """Inserts a row of the model once more, under a new id and with `changes`."""

    def insert() -> None:
        found = model._default_manager.filter(**(where or {})).order_by("pk")[0]
        found.pk = None
        for name, value in changes.items():
            setattr(found, name, value)
        found.save(force_insert=True)

    return insert


def changed(model: type[Model], **changes: object) -> Callable[[], object]:
    """Changes the model's rows."""
    return lambda: model._default_manager.update(**changes)


def out_of_bounds(model: type[Model]) -> list[Callable[[], object]]:
    """Changes a concentration's scope, family and trades to what they cannot be."""
    return [changed(model, scope="NMS"), changed(model, family="BOTH"), changed(model, trades=-1)]


def run_for_one_slot_twice() -> None:
    """Two runs are started for one slot of a schedule."""
    for _ in range(2):
        copied(Run, schedule="weekly", slot=NOW)()


def under_way_in_two_runs() -> None:
    """One partition is claimed by two runs."""
    copied(Run)()
    RunPartition.objects.update(status="RUNNING", outcome="")
    copied(RunPartition, run=Run.objects.latest("pk"))()


@dataclass(frozen=True, slots=True)
class Refused:
    """Writes that the constraint of this name refuses."""

    constraint: str
    writes: tuple[Callable[[], object], ...]

    def __init__(self, constraint: str, *writes: Callable[[], object]) -> None:
        object.__setattr__(self, "constraint", constraint)
        object.__setattr__(self, "writes", writes)


REFUSED = [
    Refused("partition_key_unique", copied(Partition, latest=None)),
    Refused("partition_week_ends_on_friday", changed(Partition, week_ending=date(2025, 11, 13))),
    Refused("partition_tier_known", changed(Partition, tier="NA")),
    Refused("capture_version_unique", copied(Capture, capture_id="another")),
    Refused("capture_version_from_1", changed(Capture, version=0)),
    Refused("capture_kind_known", changed(Capture, kind="SECOND")),
    Refused(
        "capture_rows_accounted_for",
        changed(Capture, rows_in=F("rows_in") + 1),
        changed(Capture, rows_rejected=0),
    ),
    Refused("capture_non_ats_rows_are_kept", changed(Capture, rows_non_ats=F("rows_kept") + 1)),
    Refused("capture_trades_not_negative", changed(Capture, trades=-1)),
    Refused(
        "capture_counts_when_normalized",
        changed(Capture, rows_added=None),
        changed(Capture, normalized_at=None),
        changed(Capture, rows_unchanged=F("rows_unchanged") + 1),
    ),
    Refused("security_key_unique", copied(Security)),
    Refused("venue_ats_unique", copied(Venue, {"kind": "ATS"}, name="another")),
    Refused("venue_firm_unique", copied(Venue, {"kind": "NON_ATS"})),
    Refused("venue_kind_and_mpid_agree", changed(Venue, mpid=""), changed(Venue, kind="POOL")),
    Refused("row_versions_in_order", changed(RowVersion, first_version=0), changed(RowVersion, last_version=0)),
    Refused(
        "row_figures_not_negative",
        changed(RowVersion, shares=-1),
        changed(RowVersion, trades=-1),
        changed(RowVersion, notional=-1),
    ),
    Refused("snapshot_sequence_unique", copied(AnalyticsSnapshot, inputs_hash="another")),
    Refused("snapshot_of_the_same_inputs_once", copied(AnalyticsSnapshot, sequence=2)),
    Refused("venue_volume_once", copied(VenueVolume)),
    Refused("symbol_concentration_once", copied(SymbolConcentration)),
    Refused("symbol_hhi_interval", changed(SymbolConcentration, hhi_low=2.0), changed(SymbolConcentration, hhi_low=-1)),
    Refused("market_concentration_once", copied(MarketConcentration)),
    Refused("market_hhi_interval", changed(MarketConcentration, hhi_low=2.0), changed(MarketConcentration, hhi_low=-1)),
    Refused("manifest_stage_once", copied(Manifest, {"stage": "RAW"})),
    Refused("manifest_of_a_capture_or_a_snapshot", changed(Manifest, stage="CALC"), changed(Manifest, stage="PACKED")),
    Refused("manifest_rows_accounted_for", changed(Manifest, rows_kept=F("rows_kept") + 1)),
    Refused("reject_line_once", copied(Reject)),
    Refused("anomaly_open_once", copied(Anomaly)),
    Refused("file_check_state_known", changed(FileCheck, state="ODD")),
    Refused("anomaly_severity_known", changed(Anomaly, severity="FATAL")),
    Refused("anomaly_category_known", changed(Anomaly, category="ODD")),
    Refused(
        "anomaly_resolved_by_someone_with_a_note",
        changed(Anomaly, resolved_at=NOW),
        changed(Anomaly, resolved_at=NOW, note="looked at"),
        changed(Anomaly, resolved_at=NOW, resolved_by="someone"),
    ),
    Refused("readiness_once", copied(Readiness)),
    Refused("readiness_use_known", changed(Readiness, use="fun")),
    Refused("readiness_state_known", changed(Readiness, state="FINE")),
    Refused("run_status_known", changed(Run, status="DONE")),
    Refused("run_trigger_known", changed(Run, trigger="CRON")),
    Refused("run_partition_action_known", changed(RunPartition, action="DELETE")),
    Refused("manifest_trades_not_negative", changed(Manifest, trades=-1)),
    Refused("venue_volume_in_bounds", changed(VenueVolume, scope="NMS"), changed(VenueVolume, trades=-1)),
    Refused("symbol_concentration_in_bounds", *out_of_bounds(SymbolConcentration)),
    Refused("market_concentration_in_bounds", *out_of_bounds(MarketConcentration)),
    Refused("run_finished_when_it_ended", changed(Run, finished_at=None), changed(Run, status="RUNNING")),
    Refused("run_partition_once", copied(RunPartition)),
    Refused("run_partition_status_known", changed(RunPartition, status="WAITING", outcome="")),
    Refused(
        "run_partition_outcome_when_done",
        changed(RunPartition, outcome=""),
        changed(RunPartition, outcome="WON"),
        changed(RunPartition, status="PENDING"),
    ),
    Refused("run_week_once", copied(RunWeek)),
    Refused("run_week_calculation_when_closed", changed(RunWeek, calculation=""), changed(RunWeek, closed_at=None)),
    Refused("run_slot_once", run_for_one_slot_twice),
    Refused("run_slot_of_a_schedule", changed(Run, schedule="weekly"), changed(Run, slot=NOW)),
    Refused("ledger_kind_is_one_row", copied(LedgerKind, id=2)),
    Refused("ledger_kind_known", changed(LedgerKind, kind="BOTH")),
    Refused("log_act_known", copied(OperatorLogEntry, act="DANCE", token="a")),
    Refused("log_upshot_known", copied(OperatorLogEntry, upshot="MAYBE", token="b")),
    Refused("log_started_names_the_run", copied(OperatorLogEntry, upshot="STARTED", token="c")),
    Refused("run_partition_one_at_a_time", under_way_in_two_runs),
]


def test_every_constraint_refuses_what_it_must(stored: Ledger) -> None:
    """SQLite names a unique constraint by its columns."""
    for case in REFUSED:
        said = case.constraint if stored.engine == "postgresql" else f"{case.constraint}|UNIQUE constraint failed"
        for write in case.writes:
            with pytest.raises(IntegrityError, match=said), transaction.atomic():
                write()


def test_every_constraint_is_among_those_tried() -> None:
    models = apps.get_app_config("pipeline").get_models()
    declared = sorted(constraint.name for model in models for constraint in model._meta.constraints)
    assert declared == sorted(case.constraint for case in REFUSED)


def test_a_capture_id_is_unique_and_what_refers_to_one_thing_does_so_once(stored: Ledger) -> None:
    for write in (
        copied(Capture, version=2),
        copied(Partition, tier="NMS_TIER_1"),
        copied(Manifest, {"stage": "CALC"}),
        changed(Capture, rows_removed=-1),
        changed(Partition, newest_version=-1),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            write()


def enter(first: int, last: int | None, symbol: str = "AAPL") -> RowVersion:
    """Insert another range of the row of `symbol` at UBSA."""
    held = RowVersion.objects.filter(security__symbol=symbol, venue__mpid="UBSA").order_by("first_version")[0]
    return RowVersion.objects.create(
        partition_id=held.partition_id,
        security_id=held.security_id,
        venue_id=held.venue_id,
        product_type=held.product_type,
        first_version=first,
        last_version=last,
        last_update_date=held.last_update_date,
        shares=1,
        trades=1,
    )


def update(first: int, **changes: object) -> None:
    """Change the range that begins at `first` of the row of AAPL at UBSA."""
    chosen = RowVersion.objects.filter(security__symbol="AAPL", venue__mpid="UBSA", first_version=first)
    assert chosen.update(**changes) == 1


@pytest.mark.parametrize("held", [(1, None), (1, 3)])
@pytest.mark.parametrize("entering", [(2, None), (2, 2), (3, 3), (3, None), (2, 9)])
def test_a_range_that_overlaps_does_not_enter(
    stored: Ledger, held: tuple[int, int | None], entering: tuple[int, int | None]
) -> None:
    update(1, last_version=held[1])
    with pytest.raises(IntegrityError, match="version ranges of one row overlap"), transaction.atomic():
        enter(*entering)


def test_ranges_that_are_apart_enter_in_any_order(stored: Ledger) -> None:
    update(1, last_version=2)
    for entering in ((7, None), (3, 3), (5, 6)):
        enter(*entering)
    with pytest.raises(IntegrityError, match="overlap"), transaction.atomic():
        enter(4, 5)
    enter(4, 4)
    assert RowVersion.objects.filter(security__symbol="AAPL", venue__mpid="UBSA").count() == 5


def test_no_row_enters_at_version_1_once_the_first_rows_are_stored(stored: Ledger) -> None:
    RowVersion.objects.filter(security__symbol="AAPL", venue__mpid="UBSA", first_version=1).update(first_version=2)
    for last in (None, 1):
        with pytest.raises(IntegrityError, match="whose first rows are stored"), transaction.atomic():
            enter(1, last)


@pytest.mark.parametrize(
    ("first", "changes"),
    [
        (1, {"last_version": None}),
        (1, {"last_version": 4}),
        (4, {"first_version": 3}),
        (6, {"first_version": 5}),
        (4, {"last_version": None}),
        (4, {"last_version": 6}),
    ],
)
def test_a_range_is_not_widened_over_another(stored: Ledger, first: int, changes: dict[str, object]) -> None:
    update(1, last_version=3)
    enter(4, 5)
    enter(6, None)
    with pytest.raises(IntegrityError, match="version ranges of one row overlap"), transaction.atomic():
        update(first, **changes)


def test_a_range_is_not_moved_to_a_row_that_has_one_there(stored: Ledger) -> None:
    update(1, last_version=1)
    enter(3, 4)
    other = Security.objects.get(symbol="MSFT")
    with pytest.raises(IntegrityError, match="version ranges of one row overlap"), transaction.atomic():
        update(3, security_id=other.pk)


def test_a_range_may_be_narrowed(stored: Ledger) -> None:
    update(1, last_version=5)
    update(1, last_version=2)
    enter(3, None)


def test_a_range_may_be_widened_where_there_is_room(stored: Ledger) -> None:
    update(1, first_version=4)
    update(4, first_version=2, last_version=3)
    update(2, last_version=None)
    assert RowVersion.objects.get(security__symbol="AAPL", venue__mpid="UBSA").first_version == 2
