"""The canvas of a run: what is sent, when, and how much of it at a time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest
from celery import Celery, chord, current_app
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from marketspine.addresses import results_of
from pipeline import task_names
from pipeline.engine import canvas
from pipeline.finra.calendar import Tier, last_fridays
from pipeline.models import Outcome, PartitionStatus, Run, RunStatus
from pipeline.runs import close_week, lifecycle
from pipeline.runs.plan import Plan, make_plan
from pipeline.runs.request import Request
from tests.management.publications import DAY, OLDER_WEEK, WEEK
from tests.support.engines import Ledger

REQUEST = Request(command="run_weekly", run_date=DAY, weeks=(WEEK, OLDER_WEEK))


def plan(request: Request = REQUEST) -> Plan:
    """A plan for the request, whatever a source has."""
    return make_plan(request)


class Outbox:
    """The chords that were sent: their week, and the ids of their header."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[int]]] = []

    def weeks(self) -> list[str]:
        """The weeks, in the order in which they were sent; forgets them."""
        weeks = [week for week, _ in self.sent]
        self.sent.clear()
        return weeks


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """What is sent, kept instead: no worker listens here."""
    kept = Outbox()

    def keep(sent: chord, *_arguments: object, **_options: object) -> None:
        kept.sent.append((sent.body.args[1], [task.args[0] for task in sent.tasks]))

    monkeypatch.setattr(chord, "apply_async", keep)
    return kept


@contextmanager
def unreachable_broker() -> Iterator[None]:
    """Let this process send to a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"
    with broker_at(url):
        yield


@contextmanager
def broker_at(url: str) -> Iterator[None]:
    """Let this process send to a Redis."""
    before = current_app._get_current_object()  # type: ignore[attr-defined] # a proxy
    app = Celery("elsewhere", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.update(broker_url=url, result_backend=results_of(url))
    app.set_current()
    try:
        yield
    finally:
        before.set_current()


def test_a_week_is_a_chord_of_immutable_tasks_that_take_ids(ledger: Ledger) -> None:
    run = lifecycle.start(plan())

    built = canvas.week_canvas(run, WEEK, [3, 4])

    assert [(task.task, task.args, task.immutable) for task in built.tasks] == [
        ("pipeline.process_partition", (3,), True),
        ("pipeline.process_partition", (4,), True),
    ]
    body = (built.body.task, built.body.args, built.body.immutable)
    assert body == ("pipeline.close_week", (run.pk, str(WEEK)), True)


@pytest.mark.parametrize(("command", "priority"), [("run_weekly", 3), ("backfill", 6)])
def test_a_backfill_comes_after_the_weekly_run(ledger: Ledger, command: str, priority: int) -> None:
    built = canvas.week_canvas(Run(pk=1, command=command), WEEK, [3])
    assert {task.options["priority"] for task in (*built.tasks, built.body)} == {priority}


def test_launching_writes_the_run_and_sends_it_when_that_is_committed(ledger: Ledger, outbox: Outbox) -> None:
    with transaction.atomic():
        run = canvas.launch(plan())
        assert outbox.sent == []

    ids = list(run.partitions.values_list("pk", flat=True))
    assert outbox.sent == [(str(WEEK), ids[:3]), (str(OLDER_WEEK), ids[3:])]
    assert run.partitions.filter(sent_at__isnull=False, sendings=1).count() == 6


def test_what_is_rolled_back_is_never_sent(ledger: Ledger, outbox: Outbox) -> None:
    def launch_and_fail() -> None:
        with transaction.atomic():
            canvas.launch(plan())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        launch_and_fail()
    assert (outbox.sent, Run.objects.count()) == ([], 0)


@pytest.mark.promise(10)
def test_a_slot_is_launched_once(ledger: Ledger, outbox: Outbox) -> None:
    slot = timezone.now()
    canvas.launch(plan(), schedule="weekly run", slot=slot)
    with pytest.raises(IntegrityError):
        canvas.launch(plan(), schedule="weekly run", slot=slot)
    assert (len(outbox.weeks()), Run.objects.count()) == (2, 1)


def finish(run: Run, week: str) -> None:
    """The week's partitions are done, and it is closed."""
    run.partitions.filter(partition__week_ending=week).update(
        status=PartitionStatus.DONE, outcome=Outcome.UNCHANGED, finished_at=timezone.now()
    )
    assert close_week.close_week(run, date.fromisoformat(week))


def test_no_more_than_the_limit_is_in_flight_and_weeks_go_whole(
    ledger: Ledger, outbox: Outbox, settings: Settings
) -> None:
    settings.MARKETSPINE_MAX_IN_FLIGHT = 7
    weeks = last_fridays(5, OLDER_WEEK)
    run = canvas.launch(plan(Request(command="backfill", run_date=DAY, weeks=weeks)))
    assert outbox.weeks() == [str(week) for week in weeks[:2]]

    canvas.advance(run)
    assert outbox.weeks() == []
    finish(run, str(weeks[0]))
    canvas.advance(run)
    assert outbox.weeks() == [str(weeks[2])]
    for week in weeks[1:]:
        finish(run, str(week))
    canvas.advance(run)
    assert run.status == RunStatus.SUCCEEDED


def test_a_week_that_is_larger_than_the_limit_goes_alone(ledger: Ledger, outbox: Outbox, settings: Settings) -> None:
    settings.MARKETSPINE_MAX_IN_FLIGHT = 2
    canvas.launch(plan())
    assert outbox.weeks() == [str(WEEK)]


def test_nothing_is_sent_twice_unless_resent(ledger: Ledger, outbox: Outbox) -> None:
    run = canvas.launch(plan())
    outbox.weeks()
    assert canvas.dispatch(run.pk)
    assert outbox.weeks() == []

    one = run.partitions.filter(partition__tier=Tier.OTC, partition__week_ending=WEEK)
    one.update(sent_at=None)
    canvas.dispatch(run.pk)

    assert outbox.sent == [(str(WEEK), [one.get().pk])]
    assert one.get().sendings == 2


@pytest.mark.promise(9)
def test_what_the_broker_does_not_take_is_still_to_be_sent(ledger: Ledger) -> None:
    with unreachable_broker():
        run = canvas.launch(plan())
        assert not canvas.dispatch(run.pk)
    assert set(run.partitions.values_list("status", "sent_at", "sendings")) == {(PartitionStatus.PENDING, None, 2)}


def test_sending_within_a_transaction_is_refused(ledger: Ledger) -> None:
    run = lifecycle.start(plan())
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        canvas.dispatch(run.pk)


def test_of_a_run_that_has_ended_nothing_is_sent(ledger: Ledger, outbox: Outbox) -> None:
    run = lifecycle.start(plan())
    lifecycle.move(run, RunStatus.INTERRUPTED)
    assert canvas.dispatch(run.pk)
    assert outbox.sent == []


def test_a_stopped_run_taken_up_sends_what_it_has_not_done(ledger: Ledger, outbox: Outbox) -> None:
    run = canvas.launch(plan(), "host:1:a")
    outbox.weeks()
    run.partitions.filter(partition__week_ending=WEEK, partition__tier=Tier.OTC).update(
        status=PartitionStatus.DONE, outcome=Outcome.UNCHANGED, finished_at=timezone.now()
    )
    lifecycle.interrupt(run)
    again = lifecycle.resumable(plan(), "host:2:b")
    assert again == run

    canvas.resume(run)

    assert [len(ids) for _, ids in outbox.sent] == [2, 3]


def test_a_week_done_and_not_closed_still_counts(ledger: Ledger, outbox: Outbox, settings: Settings) -> None:
    settings.MARKETSPINE_MAX_IN_FLIGHT = 3
    run = canvas.launch(plan())
    assert outbox.weeks() == [str(WEEK)]
    run.partitions.filter(partition__week_ending=WEEK).update(
        status=PartitionStatus.DONE, outcome=Outcome.UNCHANGED, finished_at=timezone.now()
    )

    canvas.dispatch(run.pk)
    assert outbox.weeks() == []
    assert close_week.close_week(run, WEEK)
    canvas.advance(run)
    assert outbox.weeks() == [str(OLDER_WEEK)]


def test_a_partition_is_resent_at_its_next_try(ledger: Ledger, outbox: Outbox) -> None:
    run = canvas.launch(plan())
    outbox.weeks()
    one = run.partitions.filter(partition__tier=Tier.OTC, partition__week_ending=WEEK)
    one.update(sent_at=None, retry_at=timezone.now() + timedelta(hours=1))
    canvas.dispatch(run.pk)
    assert (outbox.weeks(), canvas.is_due_again(run)) == ([], False)

    one.update(retry_at=timezone.now())
    assert canvas.is_due_again(run)
    canvas.dispatch(run.pk)

    assert (outbox.weeks(), canvas.is_due_again(run)) == ([str(WEEK)], False)


def test_a_queue_is_empty_when_no_priority_of_it_holds_a_message(ledger: Ledger, redis_url: str) -> None:
    with broker_at(redis_url):
        assert canvas.is_queue_empty()
        canvas._send_quietly(canvas._task(task_names.CLOSE_WEEK, 1, str(WEEK), priority=3))
        assert canvas.is_queue_empty(), "another queue"
        canvas._send_quietly(canvas._task(task_names.PROCESS_PARTITION, 1, priority=6))
        assert not canvas.is_queue_empty()


def test_of_a_broker_that_cannot_be_asked_nothing_is_concluded(ledger: Ledger) -> None:
    with unreachable_broker():
        assert not canvas.is_queue_empty()
