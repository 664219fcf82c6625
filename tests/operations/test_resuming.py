"""A run that stopped before its end: doctor and dashboard name it, one click or one command goes on with it, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.urls import reverse

from pipeline import operations
from pipeline.finra.calendar import PartitionKey
from pipeline.models import Act, Action, Event, Notice, OperatorLogEntry, Run
from pipeline.operations import Order, Refused
from pipeline.review.doctor import diagnose
from pipeline.runs import lifecycle
from pipeline.runs.plan import Plan, Step
from pipeline.runs.request import Request
from pipeline.runs.stopped import stopped
from tests.admin.vintages import signed_in
from tests.management.calling import call
from tests.management.publications import DAY, OTC, TIER_1, TIER_2, WEEK, publish_week
from tests.operations.test_operations import outcomes, worked_off
from tests.support.engines import Begin, Ledger

ORDER = Order(operator="olive", account=7, reason="the host was restarted", token="a")
ELEVEN = datetime(DAY.year, DAY.month, DAY.day, 16, tzinfo=UTC)
LEFT = "stopped before its end: 2 partitions are left"


@pytest.fixture(autouse=True)
def monday(ledger: Ledger) -> Iterator[time_machine.Traveller]:
    """Eleven in New York on DAY, when all of WEEK is published."""
    with time_machine.travel(ELEVEN) as clock:
        yield clock


def begun(*keys: PartitionKey, source: str = "files", force: bool = False) -> Run:
    """A run by command of a process that has died since."""
    request = Request(command="backfill", run_date=DAY, partitions=keys, source=source, force=force, requested_by="ops")
    steps = tuple(Step(key, Action.INGEST, "never captured") for key in keys)
    return lifecycle.start(Plan(request, steps), "elsewhere-0:1:a")


def died_midway(source_dir: Path) -> None:
    """A run of three partitions died when one of them was done, and a sweep has met it."""
    publish_week(source_dir)
    run = begun(TIER_1, TIER_2, OTC)
    Run.objects.update(heartbeat_at=ELEVEN - timedelta(hours=1))
    call("run_weekly", "--weeks", WEEK, "--tiers", "T1")
    done = Run.objects.latest("pk").partitions.get()
    first = run.partitions.filter(partition=done.partition)
    first.update(status="DONE", outcome="INGESTED", capture=done.capture)


@pytest.fixture
def died(begin: Begin, source_dir: Path) -> Run:
    """A run that died when it had done one of its three partitions."""
    begin(died_midway)
    run = Run.objects.get(status="INTERRUPTED")
    run.parameters["origin"] = str(source_dir)
    run.save(update_fields=["parameters"])
    return run


def test_one_click_resumes_a_run_once(died: Run) -> None:
    (finding,) = (finding for finding in diagnose(2, DAY).findings if "stopped" in finding.what)
    assert finding.command == f"python manage.py resume_run {died.pk}"
    operator, click = signed_in("Operator"), reverse("admin:pipeline_run_resume_run", args=[died.pk])
    assert f"Run {died.pk} (backfill) {LEFT}" == finding.what
    for address in (reverse("admin:index"), reverse("admin:pipeline_run_change", args=[died.pk])):
        assert f'action="{click}"' in operator.get(address).content.decode()
    assert click not in signed_in("Viewer").get(reverse("admin:index")).content.decode()

    for _ in range(2):
        told = operator.post(click, {"token": "a"}, follow=True).content.decode()
        assert f"Run {died.pk} goes on: 2 of 3 partitions are left." in told
    assert "Refused: run" in operator.post(click, {"token": "b"}, follow=True).content.decode()

    entry = OperatorLogEntry.objects.get(outcome="STARTED", act=Act.RESUME_RUN)
    assert set(outcomes(worked_off(entry)).values()) == {"INGESTED"}
    assert (Run.objects.get(pk=died.pk).status, stopped()) == ("SUCCEEDED", [])
    assert not Notice.objects.unclosed().filter(event=Event.RUN_FAILED).exists()
    page = operator.get(reverse("admin:pipeline_run_change", args=[died.pk]))
    assert (len(page.context["ordered"]), len(page.context["acts"])) == (0, 2)


def test_a_command_goes_on_with_it_here(died: Run) -> None:
    ran = call("resume_run", died.pk, "--by", "ops", "--reason", "went on")
    assert (ran.code, ran.lines[0]) == (0, f"Run {died.pk} goes on: 2 of 3 partitions are left.")
    entry = OperatorLogEntry.objects.get(act=Act.RESUME_RUN)
    assert (entry.operator, entry.reason, entry.run) == ("ops", "went on", Run.objects.get(pk=died.pk))
    again = call("resume_run", died.pk)
    assert (again.code, again.err) == (2, f"CommandError: run {died.pk} has ended: every due partition is good\n")
    assert call("resume_run", 99).err == "CommandError: there is no run 99\n"
    assert "names no broker" in call("resume_run", died.pk, "--queue").err


def test_a_run_of_another_day_is_taken_over_by_one_of_today(died: Run, monday: time_machine.Traveller) -> None:
    monday.shift(timedelta(days=1))
    assert diagnose(2, DAY).findings[0].command == f"python manage.py resume_run {died.pk}"

    entry = operations.resume(died, ORDER)

    run = worked_off(entry)
    assert (run.command, run.run_date, run.requested_by) == ("backfill", DAY + timedelta(days=1), "olive")
    assert entry.sentence == (
        f"Run {died.pk} is of {DAY}; a run of today does what it left. Run {run.pk} is queued with 3 partitions."
    )
    assert {str(capture.captured_on) for capture in run.captures.all()} == {"2025-12-16"}
    assert (Run.objects.get(pk=died.pk).status, stopped()) == ("CANCELLED", [])


def test_a_run_of_another_day_that_has_closed_its_weeks_only_ends(died: Run, monday: time_machine.Traveller) -> None:
    died.partitions.update(status="DONE", outcome="UNCHANGED", finished_at=ELEVEN)
    died.weeks.update(closed_at=ELEVEN, calculation="UNCHANGED")
    monday.shift(timedelta(days=1))
    ran = call("resume_run", died.pk)
    assert (ran.code, ran.lines[0]) == (0, f"Run {died.pk} goes on: 0 of 3 partitions are left.")
    assert (Run.objects.get(pk=died.pk).status, Run.objects.count()) == ("SUCCEEDED", 2)


def test_a_run_whose_work_a_later_one_did_is_no_fault(died: Run) -> None:
    assert call("run_weekly", "--weeks", WEEK).code == 0
    assert (stopped(), Run.objects.get(pk=died.pk).status) == ([], "INTERRUPTED")
    Notice.objects.open(died.failure("its process died before its end"))
    call("cancel_run", died.pk)
    assert not Notice.objects.unclosed().filter(event=Event.RUN_FAILED).exists()


def test_what_cannot_go_on_is_refused_with_its_reason(monday: time_machine.Traveller) -> None:
    live = begun(OTC)
    with pytest.raises(Refused, match=f"run {live.pk} is under way: there is nothing to resume"):
        operations.resume(live, ORDER)
    named, forced = begun(TIER_1, source="file by hand"), begun(TIER_2, force=True)
    monday.shift(timedelta(days=1))
    with pytest.raises(Refused, match="it reads a file that somebody named: give the same command again"):
        operations.resume(named, ORDER)
    with pytest.raises(Refused, match="it was ordered by force, for that day only"):
        operations.resume(forced, ORDER)
    assert [f.command.split()[2] for f in diagnose(2, DAY).findings if f.what.startswith("Run ")] == [
        "resume_run",
        "cancel_run",
        "cancel_run",
    ]
    assert OperatorLogEntry.objects.filter(act=Act.RESUME_RUN, outcome="REFUSED").count() == 3
    lifecycle.cancel(named, by="olive")
    with pytest.raises(Refused, match=rf"run {named.pk} has ended: cancelled by an operator"):
        operations.resume(named, ORDER)
