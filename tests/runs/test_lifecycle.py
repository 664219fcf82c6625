"""Runs: started from a plan, worked through, settled; stopped, interrupted, resumed; each piece of work once."""

from __future__ import annotations

import errno
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.core.files.storage import default_storage
from django.utils import timezone

from pipeline import tasks
from pipeline.capture import ingest
from pipeline.capture.results import Result
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import Payload
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Capture,
    Category,
    Event,
    Notice,
    Outcome,
    PartitionStatus,
    Readiness,
    Run,
    RunPartition,
    RunStatus,
    Severity,
)
from pipeline.runs import close_week, in_process, lifecycle, liveness, process_partition, recovery
from pipeline.runs.lifecycle import MOVES
from pipeline.runs.plan import make_plan
from pipeline.runs.request import OnlyStage, Request
from pipeline.weeks import analytics
from tests.management.publications import DAY, NEWER_WEEK, OLDER_WEEK, OTC, TIER_1, TIER_2, WEEK, content, publish_week
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource

REQUEST = Request(command="run_weekly", run_date=DAY, weeks=(WEEK,), requested_by="ops", reason="month end")
ELSEWHERE = "another-machine:1:abcd1234"
NOON = datetime(2025, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def source() -> MemorySource:
    """A source with all tiers of WEEK."""
    published = MemorySource()
    for key in (TIER_1, TIER_2, OTC):
        published.publish(key, content(key))
    return published


def start(request: Request = REQUEST) -> Run:
    """Start a run of all that the request asks for."""
    return lifecycle.start(make_plan(request, {TIER_1, TIER_2, OTC}))


def stop_at(run: Run, tier: Tier, source: MemorySource) -> None:
    """Execute the run until the operator stops it in the midst of one partition."""

    class Stopping(MemorySource):
        def fetch(self, key: PartitionKey) -> Payload:
            if key.tier is tier:
                raise KeyboardInterrupt
            return source.fetch(key)

    with pytest.raises(KeyboardInterrupt):
        in_process.execute(run, Stopping())
    run.refresh_from_db()


def outcomes(run: Run) -> list[str]:
    """What became of its partitions, in their order."""
    return list(run.partitions.values_list("outcome", flat=True))


def test_a_run_is_written_whole_before_it_begins(ledger: Ledger) -> None:
    run = start(replace(REQUEST, weeks=(WEEK, OLDER_WEEK)))

    assert (run.status, run.trigger, run.command, run.requested_by, run.reason, run.run_date) == (
        RunStatus.RUNNING,
        "CLI",
        "run_weekly",
        "ops",
        "month end",
        DAY,
    )
    assert run.partitions.filter(status=PartitionStatus.PENDING, attempts=0, outcome="").count() == 6
    assert list(run.weeks.values_list("week_ending", "closed_at")) == [(WEEK, None), (OLDER_WEEK, None)]


def test_a_run_says_who_executes_it_since_when_and_for_which_slot(ledger: Ledger) -> None:
    plan = make_plan(REQUEST, {OTC})
    with time_machine.travel(NOON, tick=False):
        run = lifecycle.start(plan, ELSEWHERE, schedule="weekly", slot=NOON - timedelta(hours=1))
    run.refresh_from_db()
    assert (run.worker, run.created_at, run.heartbeat_at, run.finished_at) == (ELSEWHERE, NOON, NOON, None)
    assert (run.schedule, run.slot) == ("weekly", NOON - timedelta(hours=1))
    assert (Request.from_parameters(run.parameters), run.parameters_hash) == (REQUEST, REQUEST.parameters_hash())
    planned = run.partitions.values_list("partition__tier", "action", "plan_reason", "queued_at")
    assert list(planned) == [(step.key.tier, step.action, step.reason, NOON) for step in plan.steps]


def test_executing_brings_every_partition_to_its_outcome_and_settles_the_run(
    ledger: Ledger, source: MemorySource
) -> None:
    heard: list[RunPartition] = []

    run = in_process.execute(start(), source, heard.append)

    assert run.status == RunStatus.SUCCEEDED
    assert run.finished_at is not None
    assert [(step.partition.key, step.outcome) for step in heard] == [
        (TIER_1, Outcome.INGESTED),
        (TIER_2, Outcome.INGESTED),
        (OTC, Outcome.INGESTED),
    ]
    for step in heard:
        assert step.capture is not None
        assert (step.attempts, step.worker) == (1, run.worker)
        times = [step.started_at, step.fetched_at, step.parsed_at, step.stored_at, step.finished_at]
        assert None not in times
        assert times == sorted(time for time in times if time)
    week = run.weeks.get()
    assert (week.calculation, week.closed_at is not None) == ("COMPUTED", True)


def test_what_is_not_due_is_passed_over_and_is_no_failure(ledger: Ledger) -> None:
    run = in_process.execute(start(replace(REQUEST, weeks=(NEWER_WEEK,), tiers=(Tier.OTC,))), MemorySource())

    assert (run.status, outcomes(run)) == (RunStatus.SUCCEEDED, [Outcome.NOT_YET_DUE])
    assert run.weeks.get().calculation == "SKIPPED"
    assert not Capture.objects.exists()


@pytest.mark.promise(3)
def test_a_failure_of_our_own_fails_its_partition_and_no_other(
    ledger: Ledger, source: MemorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ingest.ingest

    def broken(key: PartitionKey, *rest: object) -> Result:
        if key == TIER_2:
            raise ZeroDivisionError("a bug")
        return whole(key, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ingest, "ingest", broken)

    run = in_process.execute(start(), source)

    assert (run.status, outcomes(run)) == (RunStatus.FAILED, [Outcome.INGESTED, Outcome.FAILED, Outcome.INGESTED])
    anomaly = Anomaly.objects.get()
    assert (anomaly.category, anomaly.severity, anomaly.message) == (
        Category.INTERNAL,
        Severity.ERROR,
        "ZeroDivisionError: a bug",
    )
    assert set(Readiness.objects.values_list("state", flat=True)) == {"BLOCKED"}


def test_analytics_that_fail_fail_the_run_and_leave_the_captures(
    ledger: Ledger, source: MemorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_week_ending: date, _run: Run) -> analytics.Calculated:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(analytics, "calculate_week", broken)

    run = in_process.execute(start(), source)

    assert (run.status, outcomes(run)) == (RunStatus.FAILED, [Outcome.INGESTED] * 3)
    assert (run.weeks.get().calculation, run.weeks.get().reason) == ("FAILED", "ZeroDivisionError: a bug")
    assert (Anomaly.objects.get().category, Anomaly.objects.get().week_ending) == (Category.CALC_FAILED, WEEK)


def test_analytics_of_a_lost_file_name_its_repair_without_a_traceback(
    ledger: Ledger, source: MemorySource, caplog: pytest.LogCaptureFixture
) -> None:
    in_process.execute(start(), source)
    AnalyticsSnapshot.objects.update(calculation_version=0)
    lost = Capture.objects.get(partition__tier="OTC")
    default_storage.delete(lost.vintage_path)

    run = in_process.execute(start(replace(REQUEST, only_stage=OnlyStage.CALC)), source)

    reason = run.weeks.get().reason
    assert (run.status, reason.startswith(f"{lost}: its vintage file is missing")) == (RunStatus.FAILED, True)
    assert "rebuild_vintages" in reason
    assert [one.exc_info for one in caplog.records if one.name == "pipeline.runs.close_week"] == [None]


def test_a_full_disk_leaves_the_week_open(
    ledger: Ledger, source: MemorySource, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_week_ending: date, _run: Run) -> analytics.Calculated:
        raise OSError(errno.ENOSPC, "No space left on device", "analytics/one.parquet")

    run = start()
    for step in run.partitions.order_by("pk"):
        process_partition.process(step.pk, ELSEWHERE, retries=False, source=source)
    with monkeypatch.context() as patched:
        patched.setattr(analytics, "calculate_week", full)
        tasks.close_week.apply((run.pk, WEEK.isoformat()))

    assert run.weeks.get().closed_at is None
    told = [(one.getMessage(), one.exc_info) for one in caplog.records if one.levelname == "ERROR"]
    assert told == [
        (
            f"run {run.pk}: the week {WEEK} is not closed yet: analytics/one.parquet: No space left on device; "
            "the disk is full: free space on it, then the same command goes on",
            None,
        )
    ]
    tasks.close_week.apply((run.pk, WEEK.isoformat()))
    assert run.weeks.get().closed_at is not None


@pytest.mark.promise(10)
def test_a_partition_delivered_twice_is_worked_on_once(ledger: Ledger, source: MemorySource) -> None:
    run = start()
    step = run.partitions.earliest("pk")

    for worker in ("one:1:a", "two:2:b"):
        process_partition.process(step.pk, worker, source)

    step.refresh_from_db()
    assert (step.worker, step.attempts, step.outcome) == ("one:1:a", 1, Outcome.INGESTED)


@pytest.mark.promise(10)
def test_a_worker_taken_for_dead_overwrites_nothing(ledger: Ledger, source: MemorySource) -> None:
    run = start()
    step = run.partitions.earliest("pk")

    class Slow(MemorySource):
        def fetch(self, key: PartitionKey) -> Payload:
            lifecycle.interrupt(run)
            lifecycle.move(run, RunStatus.RUNNING)
            process_partition.process(step.pk, "second:2:b", source)
            return source.fetch(key)

    process_partition.process(step.pk, "first:1:a", Slow())

    step.refresh_from_db()
    assert (step.worker, step.attempts, step.outcome) == ("second:2:b", 2, Outcome.INGESTED)
    assert Capture.objects.count() == 1


@pytest.mark.promise(10)
def test_a_week_is_closed_once_and_not_before_its_partitions_are_done(ledger: Ledger, source: MemorySource) -> None:
    run = start()
    assert not close_week.close_week(run, WEEK)
    assert not lifecycle.settle(run)
    for step in run.partitions.all():
        process_partition.process(step.pk, "one:1:a", source)

    assert [close_week.close_week(run, WEEK) for _ in range(2)] == [True, False]
    assert [lifecycle.settle(run) for _ in range(2)] == [True, False]
    assert AnalyticsSnapshot.objects.count() == 1


@pytest.mark.promise(9)
def test_a_stopped_run_has_nothing_under_way_and_goes_on_later(ledger: Ledger, source: MemorySource) -> None:
    run = start()
    stop_at(run, Tier.NMS_TIER_2, source)
    assert run.status == RunStatus.INTERRUPTED
    assert list(run.partitions.values_list("status", "attempts")) == [("DONE", 1), ("PENDING", 1), ("PENDING", 0)]

    again = lifecycle.resumable(make_plan(REQUEST, set()))

    assert again == run
    assert again is not None
    assert in_process.execute(again, source).status == RunStatus.SUCCEEDED
    assert list(run.partitions.values_list("attempts", flat=True)) == [1, 2, 1]


@pytest.mark.promise(7)
def test_a_plan_remains_less_what_its_run_did(ledger: Ledger, source: MemorySource) -> None:
    plan = make_plan(REQUEST, {TIER_1, TIER_2, OTC})
    assert lifecycle.remaining(plan) is plan
    stop_at(lifecycle.start(plan), Tier.NMS_TIER_2, source)
    assert [step.key for step in lifecycle.remaining(plan).steps] == [TIER_2, OTC]


@pytest.mark.promise(10)
def test_a_stopped_run_is_gone_on_with_by_one_process(ledger: Ledger, source: MemorySource) -> None:
    plan = make_plan(REQUEST, set())
    stop_at(start(), Tier.OTC, source)
    assert [lifecycle.resumable(plan) is not None for _ in range(2)] == [True, False]


def test_a_resumed_run_is_not_interrupted_for_its_dead_worker(ledger: Ledger, source: MemorySource) -> None:
    run = start()
    stop_at(run, Tier.OTC, source)
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(days=1))

    assert lifecycle.resumable(make_plan(REQUEST, set())) == run

    assert recovery.requeue_dead() == []


def test_a_run_resumed_on_another_machine_lives_from_then_on(ledger: Ledger) -> None:
    run = start()
    lifecycle.move(run, RunStatus.INTERRUPTED)
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(days=1))
    RunPartition.objects.update(sent_at=NOON, retry_at=NOON)

    assert lifecycle.move(run, RunStatus.RUNNING, ELSEWHERE)

    assert recovery.requeue_dead() == []
    assert (run.worker, run.finished_at) == (ELSEWHERE, None)
    assert set(run.partitions.values_list("sent_at", "retry_at")) == {(None, None)}


def test_an_interrupted_run_counts_no_try_that_was_cut(ledger: Ledger) -> None:
    run = start()
    cut, lost, pending = run.partitions.order_by("pk")
    RunPartition.objects.filter(pk__in=[cut.pk, lost.pk]).update(status=PartitionStatus.RUNNING, attempts=2)
    RunPartition.objects.filter(pk=cut.pk).update(stop_ordered_at=NOON)
    assert lifecycle.interrupt(run)
    found = run.partitions.order_by("pk").values_list("pk", "status", "attempts")
    assert list(found) == [(cut.pk, "PENDING", 1), (lost.pk, "PENDING", 2), (pending.pk, "PENDING", 0)]


def test_people_are_told_of_a_run_that_died_until_one_of_its_kind_succeeds(
    ledger: Ledger, source: MemorySource
) -> None:
    run = start()
    Run.objects.update(worker=ELSEWHERE, heartbeat_at=timezone.now() - timedelta(days=1))
    assert recovery.requeue_dead() == [run]
    notice = Notice.objects.get(event=Event.RUN_FAILED)
    assert (notice.place, notice.run, notice.closed_at) == (run.kind, run, None)
    assert notice.what.startswith(f"run {run.pk} of {DAY}: its process died before its end")

    again = in_process.execute(start(), source)

    notice.refresh_from_db()
    assert notice.closed_why == f"run {again.pk} succeeded"


def test_another_request_and_one_that_ended_since_are_not_gone_on_with(ledger: Ledger, source: MemorySource) -> None:
    stop_at(start(), Tier.OTC, source)
    assert lifecycle.unfinished(make_plan(replace(REQUEST, tiers=(Tier.OTC,)), set())) is None
    in_process.execute(start(), source)

    assert lifecycle.unfinished(make_plan(REQUEST, set())) is None


def test_the_run_of_a_dead_process_is_taken_back_by_its_token(ledger: Ledger) -> None:
    with liveness.working() as worker:
        run = start()
        Run.objects.update(worker=worker)
        run.partitions.update(status=PartitionStatus.RUNNING)
        assert recovery.requeue_dead() == []

    assert recovery.requeue_dead() == [run]

    run.refresh_from_db()
    assert run.status == RunStatus.INTERRUPTED
    assert set(run.partitions.values_list("status", flat=True)) == {PartitionStatus.PENDING}


@pytest.mark.parametrize(("age", "taken"), [(-1, 0), (1, 1)])
def test_the_run_of_another_machine_is_taken_back_by_its_heartbeat(ledger: Ledger, age: int, taken: int) -> None:
    start()
    silent = timedelta(seconds=settings.MARKETSPINE_STALE_AFTER_SECONDS + 60 * age)
    Run.objects.update(worker=ELSEWHERE, heartbeat_at=timezone.now() - silent)

    assert len(recovery.requeue_dead()) == taken


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("to", RunStatus)
def test_a_run_moves_only_along_the_table(ledger: Ledger, status: RunStatus, to: RunStatus) -> None:
    run = start()
    Run.objects.update(status=status, finished_at=None if status is RunStatus.RUNNING else timezone.now())

    moved = lifecycle.move(run, to)

    assert moved == (to in MOVES.get(status, ()))
    assert run.status == (to if moved else status)
    assert (run.finished_at is None) == (run.status == RunStatus.RUNNING)


def test_a_run_of_the_queue_outlives_every_process(ledger: Ledger) -> None:
    start()
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(days=1))

    assert recovery.requeue_dead() == []


def test_without_a_source_given_the_one_that_the_run_names_is_asked(ledger: Ledger, source_dir: Path) -> None:
    publish_week(source_dir)
    run = in_process.execute(start(replace(REQUEST, origin=str(source_dir))), None)
    assert (run.status, outcomes(run)) == (RunStatus.SUCCEEDED, [Outcome.INGESTED] * 3)


def test_a_run_of_an_unknown_source_names_the_known(ledger: Ledger) -> None:
    run = in_process.execute(start(replace(REQUEST, tiers=(Tier.OTC,), source="carrier pigeon")), None)

    assert (run.status, outcomes(run)) == (RunStatus.FAILED, [Outcome.FAILED])
    assert run.partitions.get().reason == "unknown source 'carrier pigeon': known are api, files, samples"
