"""What the databases themselves refuse, whoever writes: each constraint of the ledger, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time, timedelta

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F, Model
from django.utils import timezone

from pipeline import operations
from pipeline.finra.calendar import Tier
from pipeline.keeping.policy import Policy
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    ApiToken,
    Capture,
    Channel,
    Check,
    Delivery,
    FeedCounter,
    FileCheck,
    LedgerKind,
    Manifest,
    MarketConcentration,
    Notice,
    OperatorLogEntry,
    Partition,
    PruneEntry,
    PrunePlan,
    Readiness,
    ReadinessChange,
    Reject,
    Revision,
    Run,
    RunPartition,
    RunWeek,
    Silence,
    Tally,
    TallyEntry,
    VenueVolume,
)
from pipeline.notices import routing
from pipeline.operations import Order
from pipeline.runs import in_process, lifecycle
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from pipeline.vintages import holdings
from tests.notices import telling
from tests.support.capturing import DAY, KEY, WEEK
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, psv, row

ATS = [row(symbol, mpid, 10) for symbol in ("AAPL", "MSFT", "IBM", "F", "GE") for mpid in ("UBSA", "SGMT")]
FIRMS = [row("AAPL", "", 5, name=f"Firm {number}") for number in range(10)]
NOW = timezone.now()


@pytest.fixture
def stored(ledger: Ledger) -> Ledger:
    """A ledger in which every table has a row: a run captured a partition with a reject, and computed its week."""
    source = MemorySource()
    source.publish(KEY, psv(*ATS, "OTC|short"), psv(*FIRMS))
    request = Request(command="run_weekly", run_date=DAY, tiers=(Tier.OTC,), weeks=(WEEK,))
    in_process.execute(lifecycle.start(make_plan(request, {KEY})), source)
    operations.pin(Capture.objects.get(), Order(operator="olive", reason="evidence"))
    holdings.read_in_turn(1)
    Tally.objects.fold()
    Tally.objects.add("captures", tier=KEY.tier, kind="FIRST")
    operations.plan_pruning(Policy(older_than=730), Order(operator="olive"))
    channel, notice = telling.channel(), telling.open_()
    routing.route(NOW)
    assert Delivery.objects.filter(channel=channel, notice=notice).exists()
    revised()
    ApiToken.objects.create(User.objects.create(username="olive"), timedelta(days=1), name="script")
    Silence.objects.create(starts_at=NOW, until=NOW + timedelta(hours=1), by="olive", why="evidence")
    return ledger


def revised() -> None:
    """A revision of the capture by itself."""
    one = Capture.objects.get()
    shares = dict.fromkeys(("shares_before", "shares_after", "shares_moved"), 0)
    rows = dict.fromkeys(("rows_before", "rows_added", "rows_changed", "rows_removed"), 0)
    moves = dict.fromkeys(("venues_moved", "largest_share_move", "rank_changes"), 0)
    Revision.objects.create(capture=one, base=one, venue_kind="ATS", **shares, **rows, **moves)


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


def run_for_one_slot_twice() -> None:
    """Two runs are started for one slot of a schedule."""
    for _ in range(2):
        copied(Run, schedule="weekly", slot=NOW)()


def under_way_in_two_runs() -> None:
    """One partition is claimed by two runs."""
    copied(Run)()
    RunPartition.objects.update(status="RUNNING", outcome="")
    copied(RunPartition, run=Run.objects.latest("pk"))()


def marked_by_two_plans() -> None:
    """One capture is marked for removal by two plans."""
    copied(PrunePlan)()
    PruneEntry.objects.update(state="MARKED")
    copied(PruneEntry, plan=PrunePlan.objects.latest("pk"))()


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
    Refused("capture_version_unique", copied(Capture, capture_id="another", position=2)),
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
    Refused(
        "capture_annulment_names_what_it_takes_back",
        changed(Capture, annuls_id=F("id")),
        changed(Capture, cause="ANNULLED"),
    ),
    Refused("revision_once", copied(Revision)),
    Refused("revision_kind_known", changed(Revision, venue_kind="ODD")),
    Refused("token_expires", changed(ApiToken, expiry=None)),
    Refused("token_name_unique_of_a_user", copied(ApiToken, digest="another")),
    Refused("capture_cause_known", changed(Capture, cause="LUCK")),
    Refused(
        "capture_vintage_file_when_normalized",
        changed(Capture, vintage_path=""),
        changed(Capture, vintage_bytes=None),
        changed(Capture, vintage_sha256=""),
        changed(Capture, position=None),
    ),
    Refused("check_outcome_known", changed(Check, outcome="CANCELLED")),
    Refused("feed_counter_is_one_row", copied(FeedCounter, id=2)),
    Refused("snapshot_sequence_unique", copied(AnalyticsSnapshot, inputs_hash="another")),
    Refused("snapshot_of_the_same_inputs_once", copied(AnalyticsSnapshot, sequence=2)),
    Refused("venue_volume_once", copied(VenueVolume)),
    Refused("venue_volume_kind_and_mpid_agree", changed(VenueVolume, mpid=""), changed(VenueVolume, venue_kind="POOL")),
    Refused("market_concentration_once", copied(MarketConcentration)),
    Refused("market_hhi_interval", changed(MarketConcentration, hhi_low=2.0), changed(MarketConcentration, hhi_low=-1)),
    Refused("manifest_stage_once", copied(Manifest, {"stage": "RAW"})),
    Refused("manifest_of_a_capture_or_a_snapshot", changed(Manifest, stage="CALC"), changed(Manifest, stage="PACKED")),
    Refused("manifest_rows_accounted_for", changed(Manifest, rows_kept=F("rows_kept") + 1)),
    Refused("reject_line_once", copied(Reject)),
    Refused("anomaly_open_once", copied(Anomaly)),
    Refused("tally_once", copied(Tally)),
    Refused("tally_never_negative", changed(Tally, value=-1)),
    Refused("tally_only_grows", changed(TallyEntry, amount=0), changed(TallyEntry, amount=-1)),
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
    Refused("readiness_change_use_known", changed(ReadinessChange, use="fun")),
    Refused("readiness_change_state_known", changed(ReadinessChange, state="FINE")),
    Refused("run_status_known", changed(Run, status="DONE")),
    Refused("run_trigger_known", changed(Run, trigger="CRON")),
    Refused("run_partition_action_known", changed(RunPartition, action="DELETE")),
    Refused("manifest_trades_not_negative", changed(Manifest, trades=-1)),
    Refused("venue_volume_in_bounds", changed(VenueVolume, scope="NMS"), changed(VenueVolume, trades=-1)),
    Refused(
        "market_concentration_in_bounds",
        changed(MarketConcentration, scope="NMS"),
        changed(MarketConcentration, family="BOTH"),
        changed(MarketConcentration, trades=-1),
    ),
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
    Refused("log_outcome_known", copied(OperatorLogEntry, outcome="MAYBE", token="b")),
    Refused("log_started_names_the_run", copied(OperatorLogEntry, outcome="STARTED", token="c")),
    Refused("run_partition_one_at_a_time", under_way_in_two_runs),
    Refused("prune_plan_state_known", changed(PrunePlan, state="ODD", marked_at=NOW, remove_after=NOW)),
    Refused("prune_plan_marked_has_a_window", changed(PrunePlan, state="MARKED"), changed(PrunePlan, marked_at=NOW)),
    Refused("prune_entry_once", copied(PruneEntry)),
    Refused("prune_entry_state_known", changed(PruneEntry, state="ODD")),
    Refused("prune_entry_marked_once", marked_by_two_plans),
    Refused("notice_open_once", copied(Notice, {"closed_at": None})),
    Refused("notice_event_known", changed(Notice, event="PARTY")),
    Refused("notice_severity_known", changed(Notice, severity="FATAL")),
    Refused("channel_kind_known", changed(Channel, kind="pigeon")),
    Refused("channel_digest_known", changed(Channel, digest="never")),
    Refused(
        "channel_has_an_address_or_names_a_secret",
        changed(Channel, secret=""),
        changed(Channel, address="a@example.com"),
        changed(Channel, kind="email", secret=""),
    ),
    Refused("channel_quiet_from_and_until", changed(Channel, quiet_from=time(22))),
    Refused("delivery_once", copied(Delivery, uid="00000000-0000-0000-0000-000000000000")),
    Refused("delivery_action_known", changed(Delivery, action="SHOUT")),
    Refused("delivery_state_known", changed(Delivery, state="LOST")),
    Refused("delivery_sent_at_when_sent", changed(Delivery, state="SENT"), changed(Delivery, sent_at=NOW)),
    Refused("silence_by_someone_with_a_reason", changed(Silence, why=""), changed(Silence, by="")),
    Refused("silence_ends_after_it_starts", changed(Silence, until=NOW - timedelta(days=1))),
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


def test_capture_ids_and_references_are_unique(stored: Ledger) -> None:
    for write in (
        copied(Capture, version=2, position=2),
        copied(Capture, version=2, capture_id="another"),
        copied(Partition, tier="NMS_TIER_1"),
        copied(Manifest, {"stage": "CALC"}),
        changed(Capture, rows_removed=-1),
        changed(Partition, newest_version=-1),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            write()
