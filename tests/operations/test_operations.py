"""What operators can do: each act once, with a reason where one is needed, written down whatever came of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from pipeline import operations
from pipeline.engine import driver, embedded, waiting
from pipeline.finra.calendar import PartitionKey
from pipeline.models import (
    Act,
    ActOutcome,
    Anomaly,
    Capture,
    Category,
    Outcome,
    Partition,
    Readiness,
    ReadinessState,
    Run,
    RunStatus,
    Severity,
    Trigger,
)
from pipeline.models.operator_log import OperatorLogEntry, OperatorLogSubject
from pipeline.operations import Order, Refused
from pipeline.runs.request import Request
from tests.management.calling import call
from tests.management.publications import (
    DAY,
    NEWER_WEEK,
    OTC,
    ROWS,
    TIER_1,
    TIER_2,
    WEEK,
    content,
    publish,
    publish_week,
    restate,
)
from tests.support.engines import Begin, Ledger

ORDER = Order(operator="olive", reason="FINRA called")


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    """The clock starts at eleven in New York on DAY, and goes on."""
    with time_machine.travel(datetime(DAY.year, DAY.month, DAY.day, 16, tzinfo=UTC)):
        yield


def week_captured(source_dir: Path) -> None:
    publish_week(source_dir)
    assert call("backfill", "--weeks", WEEK, "--run-date", DAY).code == 0


@pytest.fixture
def captured(begin: Begin) -> list[Partition]:
    """All tiers of WEEK, captured."""
    begin(week_captured)
    return [Partition.objects.get(week_ending=key.week_ending, tier=key.tier) for key in (TIER_1, TIER_2, OTC)]


def worked_off(entry: OperatorLogEntry) -> Run:
    """The run that came of an act, once the embedded worker has done it."""
    assert entry.run is not None
    with embedded.engine() as sleep:
        driver.resume_queue()
        return waiting.wait(entry.run, lambda _step: None, sleep=sleep)


def outcomes(run: Run) -> dict[PartitionKey, str]:
    return {step.partition.key: step.outcome for step in run.partitions.select_related("partition")}


def of(key: PartitionKey) -> Partition:
    return Partition.objects.get_or_create(week_ending=key.week_ending, tier=key.tier)[0]


def test_reingest_respects_revision_detection(captured: list[Partition], source_dir: Path) -> None:
    restate(source_dir, OTC)

    entry = operations.reingest(captured, ORDER)

    assert (entry.act, entry.outcome, entry.operator, entry.reason) == ("REINGEST", "STARTED", "olive", "FINRA called")
    run = worked_off(entry)
    assert entry.sentence == f"Run {run.pk} is queued with 3 partitions."
    assert outcomes(run) == {TIER_1: Outcome.UNCHANGED, TIER_2: Outcome.UNCHANGED, OTC: Outcome.RESTATED}
    assert (run.trigger, run.command, run.requested_by, run.status) == (Trigger.ADMIN, "reingest", "olive", "SUCCEEDED")
    assert [subject.label for subject in entry.subjects.all()] == [str(partition) for partition in captured]


def test_what_is_not_due_or_in_flight_is_passed_over_and_named(captured: list[Partition]) -> None:
    first = operations.reingest([captured[0]], ORDER)
    newer = of(PartitionKey(NEWER_WEEK, OTC.tier))

    entry = operations.reingest([*captured, newer], ORDER)

    assert entry.sentence == (
        f"Run {entry.run_id} is queued with 2 partitions. Passed over: "
        f"{newer} (FINRA publishes it on 2025-12-29); {captured[0]} (run {first.run_id} has it in flight)."
    )
    assert entry.run is not None
    assert entry.run.partitions.count() == 2


def test_a_run_of_nothing_is_refused_and_written_down(captured: list[Partition]) -> None:
    operations.reingest(captured, ORDER)
    runs_before = Run.objects.count()

    with pytest.raises(Refused, match=r"nothing to do\. Passed over: .* has it in flight"):
        operations.reingest(captured, ORDER)

    assert Run.objects.count() == runs_before
    refused = OperatorLogEntry.objects.get(outcome=ActOutcome.REFUSED)
    assert (refused.act, refused.run, refused.subjects.count()) == (Act.REINGEST, None, 3)
    assert refused.sentence.startswith("nothing to do.")


def test_the_same_form_sent_twice_acts_once(captured: list[Partition]) -> None:
    order = Order(operator="olive", token=operations.new_token())

    first, second = (operations.reingest(captured, order) for _ in range(2))

    assert first.pk == second.pk
    assert Run.objects.filter(command="reingest").count() == 1


def test_a_used_form_stands_for_nothing_else(captured: list[Partition]) -> None:
    order = Order(operator="olive", token=operations.new_token())
    operations.reingest(captured[:1], order)

    for act, chosen in ((operations.renormalize, captured[:1]), (operations.reingest, captured[1:])):
        with pytest.raises(Refused, match="this page has been used already, for something else: load it again"):
            act(chosen, order)

    entries = OperatorLogEntry.objects.filter(operator="olive")
    assert entries.count() == Run.objects.filter(trigger=Trigger.ADMIN).count() == 1


def test_what_is_left_out_is_named(captured: list[Partition]) -> None:
    never = Partition.objects.create(week_ending=NEWER_WEEK, tier=OTC.tier)
    read = operations.renormalize([captured[0], never], ORDER)
    assert read.sentence.endswith(f"with 1 partition. Passed over: {never.key} (nothing is archived).")
    computed = operations.recompute([WEEK, NEWER_WEEK], ORDER)
    assert f"{NEWER_WEEK} OTC (nothing is captured)" in computed.sentence


def test_a_retry_has_the_stages_and_the_source_of_what_it_retries(captured: list[Partition]) -> None:
    failed = operations.renormalize(captured[:1], ORDER).run
    assert failed is not None
    failed.partitions.update(status="DONE", outcome=Outcome.FAILED)
    parameters = {**failed.parameters, "source": "api", "origin": "https://api.finra.org"}
    Run.objects.filter(pk=failed.pk).update(status="FAILED", finished_at=failed.created_at, parameters=parameters)

    again = operations.retry_failed(failed, Order(operator="olive")).run

    assert again is not None
    asked = Request.from_parameters(again.parameters)
    assert (asked.only_stage, asked.source, asked.force, asked.requested_by) == ("normalize", "api", False, "olive")
    assert list(again.partitions.values_list("action", flat=True)) == ["NORMALIZE"]


def test_what_came_by_hand_is_retried_from_where_everything_comes_from(
    captured: list[Partition], settings: Settings
) -> None:
    by_hand = call("ingest_file", source_file(settings), "--tier", OTC.tier, "--week", OTC.week_ending)
    run = Run.objects.get(command="ingest_file")
    assert (by_hand.code, run.partitions.get().outcome) == (1, Outcome.FAILED)

    again = operations.retry_failed(run, Order(operator="olive")).run

    assert again is not None
    asked = Request.from_parameters(again.parameters)
    assert (asked.source, asked.origin) == ("files", settings.MARKETSPINE_SOURCE_DIR)


def source_file(settings: Settings) -> Path:
    """A page of an error under the name of a publication."""
    page = Path(settings.MARKETSPINE_SOURCE_DIR) / "by-hand.psv"
    page.write_text("<html>")
    return page


def test_what_reopening_and_unpinning_clear_is_in_the_log(captured: list[Partition]) -> None:
    anomaly = blocking()
    anomaly.resolve(by="cli-bob", note="the file arrived")
    reopened = operations.reopen([anomaly], ORDER)
    assert 'UTC by cli-bob: "the file arrived")' in reopened.sentence
    capture = Capture.objects.order_by("pk")[0]
    operations.pin(capture, Order(operator="olive", reason="evidence in a case"))
    assert 'it was for: "evidence in a case"' in operations.unpin(capture, ORDER).sentence


def test_two_clicks_at_the_same_moment_start_one_run(captured: list[Partition]) -> None:
    order, gate, entries = Order(operator="olive", token=operations.new_token()), threading.Barrier(2), []

    def click() -> None:
        gate.wait(30)
        try:
            entries.append(
                operations.force_reingest(captured, Order(operator="olive", token=order.token, reason="r")).pk
            )
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(entries) == 2
    assert len(set(entries)) == 1
    assert Run.objects.filter(command="force_reingest").count() == 1


def test_force_captures_what_would_be_refused_and_keeps_the_reason(captured: list[Partition], source_dir: Path) -> None:
    publish(source_dir, OTC, content(OTC, ROWS[:1]))
    assert outcomes(worked_off(operations.reingest([of(OTC)], ORDER))) == {OTC: Outcome.REFUSED}

    run = worked_off(operations.force_reingest([of(OTC)], ORDER))

    assert outcomes(run) == {OTC: Outcome.RESTATED}
    newest = Capture.objects.filter(partition=of(OTC)).order_by("-version")[0]
    assert (newest.kind, newest.requested_by, newest.request_reason) == ("FORCED", "olive", "FINRA called")


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_force_without_a_reason_is_refused(captured: list[Partition], reason: str) -> None:
    with pytest.raises(Refused, match="a reason is required"):
        operations.force_reingest(captured, Order(operator="olive", reason=reason))


def test_no_more_are_forced_at_once_than_the_setting_says(captured: list[Partition], settings: Settings) -> None:
    settings.MARKETSPINE_MAX_FORCED = 2
    with pytest.raises(Refused, match="3 partitions are selected, and no more than 2 are forced at once"):
        operations.force_reingest(captured, ORDER)
    assert operations.force_reingest(captured[:2], ORDER).outcome == ActOutcome.STARTED


def test_renormalize_reads_the_archive_again_and_asks_no_source(captured: list[Partition], source_dir: Path) -> None:
    for file in source_dir.iterdir():
        file.unlink()

    run = worked_off(operations.renormalize([*captured, of(PartitionKey(NEWER_WEEK, OTC.tier))], ORDER))

    assert outcomes(run) == {TIER_1: Outcome.UNCHANGED, TIER_2: Outcome.UNCHANGED, OTC: Outcome.UNCHANGED}
    assert run.status == RunStatus.SUCCEEDED


def test_what_was_never_archived_cannot_be_read_again(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="nothing is archived of what is selected"):
        operations.renormalize([of(OTC)], ORDER)


def test_recompute_works_on_whole_weeks(captured: list[Partition]) -> None:
    run = worked_off(operations.recompute([WEEK], ORDER))
    assert [(week.week_ending, week.calculation) for week in run.weeks.all()] == [(WEEK, "UNCHANGED")]


def test_a_week_of_which_nothing_is_captured_cannot_be_computed(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="nothing is captured of these weeks"):
        operations.recompute([WEEK], ORDER)


def test_what_failed_is_retried_once_its_cause_is_mended(captured: list[Partition], source_dir: Path) -> None:
    file = publish(source_dir, OTC, b"<html>down for maintenance</html>")
    assert call("backfill", "--weeks", WEEK, "--run-date", DAY).code == 1
    failed = Run.objects.get(status=RunStatus.FAILED)
    file.unlink()
    restate(source_dir, OTC)

    run = worked_off(operations.retry_failed(failed, ORDER))

    assert outcomes(run) == {OTC: Outcome.RESTATED}
    with pytest.raises(Refused, match=f"no partition of run {run.pk} failed"):
        operations.retry_failed(run, ORDER)


def test_a_run_under_way_is_not_retried_but_cancelled(captured: list[Partition]) -> None:
    entry = operations.reingest(captured, ORDER)
    assert entry.run is not None
    with pytest.raises(Refused, match="is under way: wait for its end, or cancel it"):
        operations.retry_failed(entry.run, ORDER)

    told = operations.cancel(entry.run, ORDER).sentence

    assert told == f"Run {entry.run_id} is cancelled: 3 partitions will not be started."
    entry.run.refresh_from_db()
    assert (entry.run.status, entry.run.cancelled_by, entry.run.cancel_reason) == ("CANCELLED", "olive", "FINRA called")
    with pytest.raises(Refused, match="has ended already: CANCELLED"):
        operations.cancel(entry.run, ORDER)


def test_a_schedule_runs_now_with_its_own_look_back(captured: list[Partition]) -> None:
    weekly = PeriodicTask.objects.get(name="weekly run")

    entry = operations.run_now(weekly, ORDER)

    assert entry.run is not None
    request = Request.from_parameters(entry.run.parameters)
    assert (request.command, request.lookback_weeks, request.trigger) == ("run_weekly", 6, Trigger.ADMIN)
    assert (entry.run.schedule, entry.run.requested_by) == ("", "olive")


def test_a_schedule_that_asks_for_what_cannot_be_is_refused(ledger: Ledger) -> None:
    weekly = PeriodicTask.objects.get(name="weekly run")
    weekly.kwargs = '{"lookback_weeks": 0}'
    with pytest.raises(Refused, match="the schedule 'weekly run' starts no run: lookback_weeks is 0"):
        operations.run_now(weekly, ORDER)


def blocking() -> Anomaly:
    """A CRITICAL anomaly of WEEK."""
    return Anomaly.objects.record(Category.INTERNAL, Severity.CRITICAL, "our own failure", partition=of(OTC))


def verdict() -> Readiness:
    return Readiness.objects.get(week_ending=WEEK, use="research")


def test_resolving_a_critical_anomaly_judges_its_week_again_and_reopening_blocks_it(captured: list[Partition]) -> None:
    before = verdict().state
    anomaly = blocking()
    assert verdict().state == ReadinessState.BLOCKED

    entry = operations.resolve([anomaly], ORDER)

    anomaly.refresh_from_db()
    assert (anomaly.resolved_by, anomaly.note) == ("olive", "FINRA called")
    assert verdict().state == before != ReadinessState.BLOCKED
    assert entry.sentence.startswith("1 anomaly resolved. 2025-11-14 is ")

    operations.reopen([anomaly], Order(operator="otto", reason="it is back"))

    anomaly.refresh_from_db()
    assert (anomaly.resolved_at, anomaly.resolved_by, anomaly.note) == (None, "", "")
    assert verdict().state == ReadinessState.BLOCKED
    acts = OperatorLogEntry.objects.filter(subjects__kind="anomaly", subjects__key=str(anomaly.pk)).order_by("pk")
    assert [(act.act, act.operator, act.reason) for act in acts] == [
        ("RESOLVE", "olive", "FINRA called"),
        ("REOPEN", "otto", "it is back"),
    ]


def test_of_several_anomalies_those_that_are_open_are_resolved(captured: list[Partition]) -> None:
    other = Anomaly.objects.record(Category.LATE, Severity.WARN, "late", partition=of(TIER_1))
    anomaly = blocking()
    operations.resolve([other], ORDER)

    entry = operations.resolve([anomaly, other], Order(operator="olive", reason="seen"))

    assert entry.sentence.startswith(f"1 anomaly resolved. 1 had ended before: {other.pk}. 2025-11-14 is ")
    anomaly.refresh_from_db()
    assert anomaly.resolved_by == "olive"
    with pytest.raises(Refused, match=f"anomaly {anomaly.pk}, {other.pk} is not open; nothing was resolved"):
        operations.resolve([anomaly, other], Order(operator="olive", reason="again"))


def test_an_anomaly_is_not_reopened_beside_the_same_seen_anew(captured: list[Partition]) -> None:
    anomaly = blocking()
    operations.resolve([anomaly], ORDER)
    blocking()
    with pytest.raises(Refused, match="the same has been seen again and is open"):
        operations.reopen([anomaly], ORDER)


@pytest.mark.parametrize("act", [operations.resolve, operations.reopen])
def test_a_verdict_on_an_anomaly_needs_a_note(captured: list[Partition], act: object) -> None:
    with pytest.raises(Refused, match="a reason is required"):
        act([blocking()], Order(operator="olive"))  # type: ignore[operator]


def test_reevaluating_judges_the_weeks_of_the_verdicts(captured: list[Partition]) -> None:
    Readiness.objects.filter(week_ending=WEEK).update(state=ReadinessState.BLOCKED)
    entry = operations.reevaluate([verdict()], Order(operator="olive"))
    assert verdict().state != ReadinessState.BLOCKED
    assert entry.sentence.startswith("2025-11-14 is ")


def test_a_capture_is_pinned_with_a_note_and_unpinned(captured: list[Partition]) -> None:
    capture = Capture.objects.get(partition=of(OTC))

    operations.pin(capture, ORDER)
    capture.refresh_from_db()
    assert (capture.pinned, capture.pin_note) == (True, "FINRA called")
    with pytest.raises(Refused, match="is pinned already"):
        operations.pin(capture, ORDER)

    operations.unpin(capture, ORDER)
    capture.refresh_from_db()
    assert (capture.pinned, capture.pin_note) == (False, "")
    with pytest.raises(Refused, match="is not pinned"):
        operations.unpin(capture, ORDER)


@pytest.mark.parametrize("model", [OperatorLogEntry, OperatorLogSubject])
def test_the_log_is_only_ever_added_to(captured: list[Partition], model: type[OperatorLogEntry]) -> None:
    operations.pin(Capture.objects.get(partition=of(OTC)), ORDER)
    before = model.objects.count()
    for change in ("UPDATE {} SET id = id", "DELETE FROM {}"):
        with pytest.raises(DatabaseError, match="only ever added to"), transaction.atomic():
            connection.cursor().execute(change.format(model._meta.db_table))
    assert model.objects.count() == before


def test_an_act_that_breaks_leaves_neither_a_run_nor_an_entry(
    captured: list[Partition], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Run.objects.count()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(OperatorLogEntry.objects, "create", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        operations.reingest(captured, ORDER)
    assert (Run.objects.count(), OperatorLogSubject.objects.count()) == (before, 0)
