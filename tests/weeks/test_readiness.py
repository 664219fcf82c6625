"""A week's verdict: the truth table of the policies, and that READY is never said of a week that is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from pipeline import readers
from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Category,
    Partition,
    Readiness,
    ReadinessChange,
    ReadinessState,
    Reason,
    ReasonCode,
    Severity,
    Use,
)
from pipeline.weeks import analytics, readiness
from pipeline.weeks.readiness import POLICIES, Facts, Verdict, judge
from tests.faults.extent import examples
from tests.support.engines import Ledger, wipe
from tests.support.sources_in_memory import MemorySource, row

WEEK = date(2025, 11, 14)
DUE = {Tier.NMS_TIER_1: "2025-12-01", Tier.NMS_TIER_2: "2025-12-15", Tier.OTC: "2025-12-15"}
DOCS = Path(__file__).parents[2] / "docs"
ALL_DUE, ONE_DUE, NONE_DUE = date(2025, 12, 15), date(2025, 12, 1), date(2025, 11, 30)
BLOCKED, READY = ReadinessState.BLOCKED, ReadinessState.READY
AWAITING, PROVISIONAL = ReadinessState.AWAITING_PUBLICATION, ReadinessState.PROVISIONAL


def capture(tier: Tier, shares: int = 1, *, normalize: bool = True) -> None:
    source, key = MemorySource(), PartitionKey(WEEK, tier)
    updated = DUE[tier]
    source.publish_rows(key, [row("A", "AAAA", shares, tier=tier, updated=updated)])
    ingest.ingest(key, source, Terms(run_date=ALL_DUE, normalize=normalize))


def capture_all() -> None:
    for tier in Tier:
        capture(tier)
    analytics.calculate_week(WEEK)


def states(today: date = ALL_DUE) -> tuple[ReadinessState, ...]:
    """The states for trading, compliance and research."""
    verdicts = readiness.decide_week(WEEK, today)
    return tuple(verdicts[use].state for use in (Use.TRADING, Use.COMPLIANCE, Use.RESEARCH))


def anomaly(severity: Severity) -> Anomaly:
    partition = Partition.objects.get(week_ending=WEEK, tier=Tier.OTC)
    return Anomaly.objects.record(Category.UNREADABLE, severity, "something", partition=partition)


def test_a_whole_week_is_ready_for_every_use(ledger: Ledger) -> None:
    capture_all()
    assert states() == (READY, READY, READY)
    assert {verdict.state for verdict in Readiness.objects.all()} == {READY}
    assert {tuple(verdict.reasons) for verdict in Readiness.objects.all()} == {()}


def test_verdicts_for_all_uses_are_read_and_written_in_two_statements(ledger: Ledger) -> None:
    capture_all()
    states()
    with CaptureQueriesContext(connection) as asked:
        states()
    assert sum('"pipeline_readiness"' in each["sql"] for each in asked) == 2


def test_what_is_not_published_yet_is_awaited_with_its_due_date(ledger: Ledger) -> None:
    assert states(NONE_DUE) == (AWAITING, AWAITING, AWAITING)
    stored = Readiness.objects.get(use=Use.TRADING)
    assert stored.reasons == [
        f"2025-11-14 {tier}: not yet due, FINRA publishes it on {due}" for tier, due in DUE.items()
    ]


def test_the_tier_that_comes_first_is_provisionally_of_use_to_research(ledger: Ledger) -> None:
    capture(Tier.NMS_TIER_1)
    analytics.calculate_week(WEEK)
    assert states(ONE_DUE) == (AWAITING, AWAITING, PROVISIONAL)


def test_a_due_partition_that_is_missing_blocks_with_its_name(ledger: Ledger) -> None:
    capture(Tier.NMS_TIER_1)
    capture(Tier.OTC)
    analytics.calculate_week(WEEK)
    assert states() == (BLOCKED, BLOCKED, BLOCKED)
    reasons = Readiness.objects.get(use=Use.RESEARCH).reasons
    assert reasons == ["2025-11-14 NMS_TIER_2: due since 2025-12-15 and not captured"]


def test_a_capture_whose_rows_are_not_stored_blocks(ledger: Ledger) -> None:
    capture_all()
    capture(Tier.OTC, shares=2, normalize=False)
    assert states() == (BLOCKED, BLOCKED, BLOCKED)
    assert Readiness.objects.get(use=Use.TRADING).reasons == [
        "2025-11-14 OTC: version 2 is archived, its rows are not stored"
    ]


def test_analytics_of_older_captures_block(ledger: Ledger) -> None:
    capture_all()
    capture(Tier.OTC, shares=2)
    assert states() == (BLOCKED, BLOCKED, BLOCKED)
    reason = "2025-11-14: the analytics are not computed from the newest captures"
    assert Readiness.objects.get(use=Use.TRADING).reasons == [reason]
    analytics.calculate_week(WEEK)
    assert states() == (READY, READY, READY)


def test_analytics_of_an_older_calculation_block(ledger: Ledger) -> None:
    capture_all()
    AnalyticsSnapshot.objects.update(calculation_version=analytics.CALCULATION_VERSION - 1)
    assert states() == (BLOCKED, BLOCKED, BLOCKED)
    analytics.calculate_week(WEEK)
    assert states() == (READY, READY, READY)
    assert list(AnalyticsSnapshot.objects.values_list("sequence", "calculation_version")) == [
        (2, analytics.CALCULATION_VERSION),
        (1, analytics.CALCULATION_VERSION - 1),
    ]


def test_trading_is_at_least_as_strict_as_compliance() -> None:
    trading, compliance = POLICIES[Use.TRADING], POLICIES[Use.COMPLIANCE]
    for severity in Severity.values:
        for asked in ("blocking", "qualifying"):
            strict, other = (severity in Severity.at_least(getattr(each, asked)) for each in (trading, compliance))
            assert strict or not other
    assert not trading.partial or compliance.partial


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        (Severity.INFO, (READY, READY, READY)),
        (Severity.WARN, (PROVISIONAL, PROVISIONAL, PROVISIONAL)),
        (Severity.ERROR, (BLOCKED, BLOCKED, PROVISIONAL)),
        (Severity.CRITICAL, (BLOCKED, BLOCKED, BLOCKED)),
    ],
)
def test_open_anomalies_block_or_qualify_by_their_severity(
    ledger: Ledger, severity: Severity, expected: tuple[ReadinessState, ...]
) -> None:
    capture_all()
    found = anomaly(severity)
    assert states() == expected
    if BLOCKED in expected:
        reason = f"2025-11-14 OTC: open {severity} anomaly {found.pk}, UNREADABLE: something"
        assert Readiness.objects.get(use=Use.TRADING).reasons == [reason]
    found.resolve(by="somebody", note="looked into")
    assert states() == (READY, READY, READY)


def test_an_anomaly_of_another_week_does_not_matter(ledger: Ledger) -> None:
    capture_all()
    Anomaly.objects.record(Category.CALC_FAILED, Severity.CRITICAL, "elsewhere", week_ending=date(2025, 11, 21))
    assert states() == (READY, READY, READY)


def test_since_is_when_the_state_last_changed(ledger: Ledger) -> None:
    def decided(hour: int) -> Readiness:
        with time_machine.travel(datetime(2025, 12, 16, hour, tzinfo=UTC), tick=False):
            states()
        return Readiness.objects.get(use=Use.TRADING)

    capture_all()
    first, second = decided(8), decided(9)
    assert (first.since.hour, second.since.hour, second.decided_at.hour) == (8, 8, 9)
    with time_machine.travel(datetime(2025, 12, 16, 10, tzinfo=UTC), tick=False):
        anomaly(Severity.ERROR)
    assert Readiness.objects.get(use=Use.TRADING).state == BLOCKED, "from that moment on, before it is judged again"
    assert decided(11).since.hour == 10


def test_a_forced_capture_without_rows_blocks(ledger: Ledger) -> None:
    capture_all()
    source, key = MemorySource(), PartitionKey(WEEK, Tier.OTC)
    source.publish_rows(key, [])
    ingest.ingest(key, source, Terms(run_date=ALL_DUE, force=True))
    analytics.calculate_week(WEEK)
    assert states() == (BLOCKED, BLOCKED, BLOCKED)
    assert Readiness.objects.get(use=Use.TRADING).reasons == ["2025-11-14 OTC: version 2 has no rows"]
    assert Readiness.objects.get(use=Use.TRADING).reason_codes == ["NO_ROWS"]


@examples(10, of_all=30)
@given(st.lists(st.sampled_from(["capture", "archive", "restate", "calculate", "error", "later"]), max_size=8))
def test_never_ready_while_anything_is_missing_or_stale(ledger: Ledger, steps: list[str]) -> None:
    wipe()
    today, tiers, shares = NONE_DUE, list(Tier), 1
    for step in steps:
        match step:
            case "capture" if tiers:
                capture(tiers.pop())
            case "archive" if tiers:
                capture(tiers.pop(), normalize=False)
            case "restate" if Tier.OTC not in tiers:
                shares += 1
                capture(Tier.OTC, shares)
            case "calculate":
                analytics.calculate_week(WEEK)
            case "error" if len(tiers) < len(Tier):
                Anomaly.objects.record(Category.INTERNAL, Severity.CRITICAL, "x", week_ending=WEEK)
            case "later":
                today = ALL_DUE
        whole = not tiers and not any(
            partition.latest is None or partition.latest.version != partition.newest_version
            for partition in Partition.objects.select_related("latest")
        )
        current = analytics.is_current(analytics.newest_snapshot(WEEK), analytics.inputs_of(WEEK))
        clean = not Anomaly.objects.open().exclude(severity=Severity.INFO).exists()
        assert (READY in states(today)) == (whole and current and clean)


def test_the_verdict_lists_first_what_blocks_then_what_is_awaited() -> None:
    gone, to_come = Reason("NOT_CAPTURED", "gone"), Reason("NOT_YET_DUE", "to come")
    facts = Facts(missing=[gone], awaited=[to_come], captured=1, anomalies=[], snapshot=None)
    assert judge(facts, POLICIES[Use.TRADING]) == Verdict(BLOCKED, [gone, to_come])


def test_every_reason_has_its_code_and_every_code_its_line_in_the_documents(ledger: Ledger) -> None:
    told = {
        code: readiness.assess(WEEK, day)[Use.TRADING]
        for code, day in (("NOT_YET_DUE", NONE_DUE), ("NOT_CAPTURED", ALL_DUE))
    }
    for tier in Tier:
        capture(tier, normalize=tier is not Tier.OTC)
    told["NOT_NORMALIZED"] = readiness.assess(WEEK, ALL_DUE)[Use.TRADING]
    capture(Tier.OTC, shares=2)
    told["NOT_CALCULATED"] = readiness.assess(WEEK, ALL_DUE)[Use.TRADING]
    anomaly(Severity.ERROR)
    told["UNREADABLE"] = readiness.assess(WEEK, ALL_DUE)[Use.TRADING]
    for code, verdict in told.items():
        assert code in verdict.codes
        assert len(verdict.codes) == len(verdict.sentences)

    lines = (DOCS / "readiness.md").read_text(encoding="utf-8")
    anomalies = (DOCS / "ledger.md").read_text(encoding="utf-8")
    assert [code for code in ReasonCode.values if f"| `{code}` |" not in lines] == []
    assert [code for code in Category.values if f"| `{code}` |" not in anomalies] == []
    assert set(ReasonCode.values).isdisjoint(Category.values)


def changes() -> list[tuple[int | None, str, str, list[str]]]:
    of_trading = ReadinessChange.objects.filter(use=Use.TRADING).order_by("pk")
    return [(one.position, one.state_before, one.state, one.reason_codes) for one in of_trading]


@pytest.mark.each_database
def test_a_verdict_that_becomes_another_is_a_change_with_a_place_behind_its_captures(ledger: Ledger) -> None:
    capture_all()
    states()
    states()
    found = anomaly(Severity.ERROR)
    assert Readiness.objects.get(use=Use.TRADING).reason_codes == ["UNREADABLE"]
    assert changes() == [(4, "", READY, [])], "a week that is not judged again yet has no other verdict"
    states()
    found.resolve(by="somebody", note="looked into")
    states()
    assert changes() == [
        (4, "", READY, []),
        (7, READY, BLOCKED, ["UNREADABLE"]),
        (10, BLOCKED, READY, []),
    ]
    assert list(ReadinessChange.objects.placed().values_list("position", flat=True)) == list(range(4, 13))


def test_a_week_that_is_restated_and_ready_again_says_since_when_and_that_its_rows_changed(ledger: Ledger) -> None:
    def at(hour: int, act: Callable[[], object]) -> None:
        with time_machine.travel(datetime(2025, 12, 16, hour, tzinfo=UTC), tick=False):
            act()

    at(7, capture_all)
    at(8, states)
    at(9, partial(capture, Tier.OTC, 2))
    assert Readiness.objects.get(use=Use.TRADING).since.hour == 9, "blocked, until it is judged again"
    at(10, lambda: (analytics.calculate_week(WEEK), states()))
    assert Readiness.objects.get(use=Use.TRADING).since.hour == 8
    with time_machine.travel(datetime(2025, 12, 16, 11, tzinfo=UTC), tick=False):
        [told] = readers.readiness(week_ending=WEEK, use="trading").to_dicts()
    assert (told["state"], told["restated_since_ready"], told["reason_codes"]) == ("READY", True, [])


def test_what_a_process_left_without_a_place_is_placed_by_the_next(ledger: Ledger) -> None:
    capture_all()
    states()
    ReadinessChange.objects.update(position=None)
    assert not ReadinessChange.objects.placed().exists()
    states()
    assert list(ReadinessChange.objects.order_by("pk").values_list("position", flat=True)) == [7, 8, 9]


def test_changes_of_the_last_weeks_are_another_answer_when_other_weeks_are_the_last(ledger: Ledger) -> None:
    capture_all()
    states()
    with time_machine.travel(datetime(2025, 12, 16, 8, tzinfo=UTC), tick=False):
        first = readers.readiness_changes(weeks=1)
        again = readers.readiness_changes(weeks=1, on_day=date(2025, 12, 16))
    with time_machine.travel(datetime(2025, 12, 23, 8, tzinfo=UTC), tick=False):
        later = readers.readiness_changes(weeks=1)
    assert (first.frame.height, later.frame.height) == (3, 0)
    assert first.meta.digest == again.meta.digest != later.meta.digest


@pytest.mark.promise(14)
def test_what_was_captured_before_it_was_due_is_awaited_until_it_is_found_the_same(ledger: Ledger) -> None:
    capture_all()
    source, key = MemorySource(), PartitionKey(WEEK, Tier.OTC)
    source.publish_rows(key, [row("A", "AAAA", 2, tier=Tier.OTC, updated=DUE[Tier.OTC])])
    told = []
    for day in (ONE_DUE, ALL_DUE):
        with time_machine.travel(datetime(day.year, day.month, day.day, 17, tzinfo=UTC), tick=False):
            ingest.ingest(key, source, Terms(run_date=day, force=day == ONE_DUE))
            analytics.calculate_week(WEEK)
        told.append(readiness.assess(WEEK, ALL_DUE)[Use.TRADING])
    assert [(one.state, one.codes) for one in told] == [(AWAITING, ["NOT_YET_DUE"]), (READY, [])]
