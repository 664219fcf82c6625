"""One week's verdict per use, decided from the ledger: never from what tasks returned.

A week is READY for a use when every tier is due, captured and normalized, the analytics were computed from just those
captures, and no open anomaly is severe enough for that use. An unpublished tier is no fault: the week awaits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction
from django.utils import timezone

from pipeline.checkpoints import checkpoints
from pipeline.finra.calendar import PartitionKey, Tier, due_date, is_due, look_back, market_today
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Category,
    Event,
    Notice,
    Partition,
    Readiness,
    ReadinessChange,
    ReadinessState,
    Reason,
    ReasonCode,
    Seen,
    Severity,
    Use,
)
from pipeline.models.readiness import USABLE, blocked, usable
from pipeline.vintages import records
from pipeline.weeks import analytics


@dataclass(frozen=True, slots=True)
class Policy:
    """The demands of a use on a week.

    An open anomaly of `blocking` severity or above blocks it, one of `qualifying` severity makes it provisional. With
    `partial`, a week whose first tiers are published is provisionally usable before the others are.
    """

    blocking: Severity
    qualifying: Severity
    partial: bool


POLICIES = {
    Use.TRADING: Policy(blocking=Severity.ERROR, qualifying=Severity.WARN, partial=False),
    Use.COMPLIANCE: Policy(blocking=Severity.ERROR, qualifying=Severity.WARN, partial=False),
    Use.RESEARCH: Policy(blocking=Severity.CRITICAL, qualifying=Severity.WARN, partial=True),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state and the reasons for it."""

    state: ReadinessState
    reasons: list[Reason]

    @property
    def sentences(self) -> list[str]:
        """The reasons for a person."""
        return [reason.sentence for reason in self.reasons]

    @property
    def codes(self) -> list[str]:
        """The reasons for a program, in the same order."""
        return [reason.code for reason in self.reasons]


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a week in the ledger."""

    missing: list[Reason]
    awaited: list[Reason]
    captured: int
    anomalies: list[Anomaly]
    snapshot: AnalyticsSnapshot | None


@checkpoints("week.judge")
def decide_week(week_ending: date, today: date) -> dict[Use, Verdict]:
    """Decide the week for every use, and store the verdicts.

    Under the locks of its partitions: a verdict on what was true before never replaces one on what is true now.
    """
    with transaction.atomic(savepoint=False):
        Partition.objects.lock_week(week_ending)
        facts = gather(week_ending, today)
        verdicts = {use: judge(facts, policy) for use, policy in POLICIES.items()}
        _store(week_ending, verdicts, facts.snapshot)
    return verdicts


@checkpoints("weeks.judge")
def decide_again(weeks: int, today: date) -> None:
    """Decide the weeks of a look-back that were decided before: a tier that has become due since blocks its week."""
    decided = Readiness.objects.filter(week_ending__in=look_back(weeks, today)).order_by("week_ending")
    for week in decided.values_list("week_ending", flat=True).distinct():
        decide_week(week, today)


def assess(week_ending: date, today: date) -> dict[Use, Verdict]:
    """The verdicts by the ledger as it is now. Reads only."""
    facts = gather(week_ending, today)
    return {use: judge(facts, policy) for use, policy in POLICIES.items()}


def gather(week_ending: date, today: date) -> Facts:
    """The facts on which a week is judged."""
    partitions = {
        partition.tier: partition
        for partition in Partition.objects.filter(week_ending=week_ending).select_related("latest")
    }
    missing, awaited = [], []
    for tier in Tier:
        key = PartitionKey(week_ending, tier)
        lacking = _lacking(key, partitions.get(tier))
        if lacking and is_due(key, today):
            missing.append(lacking)
        elif early := "not yet due" if lacking else _captured_early(key, partitions[tier]):
            due = f"{key}: {early}, FINRA publishes it on {due_date(tier, week_ending)}"
            awaited.append(Reason(ReasonCode.NOT_YET_DUE.value, due))
    captured = [partition.latest for partition in partitions.values() if partition.latest is not None]
    snapshot = analytics.newest_snapshot(week_ending, captured)
    if captured and not analytics.is_current(snapshot, captured):
        stale = f"{week_ending}: the analytics are not computed from the newest captures"
        missing.append(Reason(ReasonCode.NOT_CALCULATED.value, stale))
    # A source that is empty today takes nothing from what is held.
    anomalies = list(Anomaly.objects.open().of_week(week_ending).exclude(category=Category.NOT_OFFERED).order_by("pk"))
    return Facts(missing, awaited, len(captured), anomalies, snapshot)


def judge(facts: Facts, policy: Policy) -> Verdict:
    """The verdict that a policy passes on the facts."""
    blocking = [anomaly for anomaly in facts.anomalies if anomaly.severity in Severity.at_least(policy.blocking)]
    qualifying = [anomaly for anomaly in facts.anomalies if anomaly.severity in Severity.at_least(policy.qualifying)]
    blocks = [*facts.missing, *(anomaly.reason for anomaly in blocking)]
    if blocks:
        return Verdict(ReadinessState.BLOCKED, [*blocks, *facts.awaited])
    if facts.awaited and not (policy.partial and facts.captured):
        return Verdict(ReadinessState.AWAITING_PUBLICATION, facts.awaited)
    reservations = [*facts.awaited, *(anomaly.reason for anomaly in qualifying)]
    return Verdict(ReadinessState.PROVISIONAL if reservations else ReadinessState.READY, reservations)


def _captured_early(key: PartitionKey, partition: Partition) -> str | None:
    """That a partition was captured on a day before FINRA publishes it, and not looked at since. None otherwise."""
    latest = partition.latest
    if latest is None or is_due(key, latest.captured_on):
        return None
    same = partition.checks.filter(outcome__in=(Seen.UNMOVED, Seen.UNCHANGED)).first()
    if same and is_due(key, market_today(same.checked_at)):
        return None
    return "captured before it is due and not looked at since"


def _lacking(key: PartitionKey, partition: Partition | None) -> Reason | None:
    """Why a partition cannot be used; None when it can."""
    if partition is None or partition.newest_version == 0:
        due = f"{key}: due since {due_date(key.tier, key.week_ending)} and not captured"
        return Reason(ReasonCode.NOT_CAPTURED.value, due)
    if partition.latest is None or partition.latest.version < partition.newest_version:
        archived = f"{key}: version {partition.newest_version} is archived, its rows are not stored"
        return Reason(ReasonCode.NOT_NORMALIZED.value, archived)
    if not partition.latest.rows_kept:
        return Reason(ReasonCode.NO_ROWS.value, f"{key}: version {partition.latest.version} has no rows")
    return None


@checkpoints("verdicts.store")
def _store(week_ending: date, verdicts: Mapping[Use, Verdict], snapshot: AnalyticsSnapshot | None) -> None:
    """Write the verdicts for all uses at once, and have people told of those that are news."""
    stored = {one.use: one for one in Readiness.objects.filter(week_ending=week_ending)}
    passed = ReadinessChange.objects.newest(week_ending)
    before = {use: (one.state, one.reasons) for use, one in stored.items()}
    news = {use: one for use, one in verdicts.items() if before.get(use) != (one.state, one.sentences)}
    _tell(week_ending, news, stored, passed)
    Readiness.objects.bulk_create(
        [
            Readiness(
                week_ending=week_ending,
                use=use,
                state=verdict.state,
                reasons=verdict.sentences,
                reason_codes=verdict.codes,
                snapshot=snapshot,
                since=_since(verdict.state, stored.get(use), passed.get(use)),
                decided_at=timezone.now(),
            )
            for use, verdict in verdicts.items()
        ],
        update_conflicts=True,
        unique_fields=("week_ending", "use"),
        update_fields=("state", "reasons", "reason_codes", "snapshot", "since", "decided_at"),
    )
    _note_changes(week_ending, verdicts, passed)


def _since(state: ReadinessState, stored: Readiness | None, passed: ReadinessChange | None) -> datetime:
    """Since when the week is in a state: that it was blocked until it was judged again ends no state."""
    if stored is not None and stored.state == state:
        return stored.since
    return passed.changed_at if passed is not None and passed.state == state else timezone.now()


@checkpoints("verdicts.note")
def _note_changes(week_ending: date, verdicts: Mapping[Use, Verdict], passed: Mapping[str, ReadinessChange]) -> None:
    """Write which verdicts are other ones than the last that were passed; after the commit they get their places."""
    before = {use: change.state for use, change in passed.items()}
    ReadinessChange.objects.bulk_create(
        ReadinessChange(
            week_ending=week_ending,
            use=use,
            state_before=before.get(use, ""),
            state=verdict.state,
            reasons=verdict.sentences,
            reason_codes=verdict.codes,
        )
        for use, verdict in verdicts.items()
        if before.get(use) != verdict.state
    )
    transaction.on_commit(_place_changes, robust=True)


def _place_changes() -> None:
    """Give changes their places in the feed: never those that a ledger which is lost has given."""
    if ReadinessChange.objects.unplaced().exists():  # no lock is taken for nothing
        records.keep_positions(records.ids())
        ReadinessChange.objects.place()


def _tell(
    week_ending: date,
    news: Mapping[Use, Verdict],
    stored: Mapping[str, Readiness],
    passed: Mapping[str, ReadinessChange],
) -> None:
    """Have people told of verdicts that are others than those `stored`.

    A week that was usable may be blocked until it is judged again: what it was before is in the verdicts `passed`.
    """
    was_usable = {use for use, change in passed.items() if change.state in USABLE}
    was_blocked = {use for use, one in stored.items() if one.state == ReadinessState.BLOCKED}
    may_not_be_used = {use: verdict for use, verdict in news.items() if verdict.state is ReadinessState.BLOCKED}
    Notice.objects.open_each(
        *(
            blocked(week_ending, use, verdict.sentences, was_usable=use in was_usable)
            for use, verdict in may_not_be_used.items()
        )
    )
    for use, verdict in news.items():
        if use not in may_not_be_used and use in was_blocked:
            Notice.objects.close(Event.BLOCKED, f"{week_ending} {use}", f"it is {verdict.state}")
    usable_now = {use: verdict for use, verdict in news.items() if verdict.state in USABLE}
    Notice.objects.tell(*(usable(week_ending, use, one.state, one.sentences) for use, one in usable_now.items()))
