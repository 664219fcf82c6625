"""Notices are written by what makes them true, and in the same transaction."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from pipeline.conditions import look
from pipeline.models import Anomaly, Category, Event, Notice, Run, RunStatus, Severity
from pipeline.models.readiness import Readiness, Use
from pipeline.runs import lifecycle
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from tests.management.calling import call
from tests.management.publications import DAY, OTC, ROWS, WEEK, content, publish, publish_week, restate
from tests.notices.telling import late
from tests.support.engines import Ledger


def open_ones() -> set[tuple[str, str, str]]:
    return {(one.event, one.place, one.severity) for one in Notice.objects.unclosed()}


def news() -> list[tuple[str, str]]:
    return [(one.event, one.place) for one in Notice.objects.order_by("pk") if one.is_momentary]


def test_a_captured_week_is_ready_a_refused_one_blocked_and_a_mended_one_over(ledger: Ledger, source_dir: Path) -> None:
    publish_week(source_dir)
    assert call("backfill", "--weeks", WEEK, "--run-date", DAY).code == 0
    assert news() == [("READY", f"{WEEK} {use}") for use in Use.values]
    assert open_ones() == set()

    publish(source_dir, OTC, content(OTC, ROWS[:1]))
    assert call("backfill", "--weeks", WEEK, "--run-date", DAY).code == 1
    assert ("REFUSED", str(OTC), "ERROR") in open_ones()
    assert ("RUN_FAILED", "backfill", "ERROR") in open_ones()
    assert ("BLOCKED", f"{WEEK} trading", "ERROR") in open_ones()

    restate(source_dir, OTC)
    assert call("backfill", "--weeks", WEEK, "--run-date", DAY).code == 0
    assert open_ones() == set()
    blocked = Notice.objects.filter(event=Event.BLOCKED).order_by("pk")
    assert [one.use for one in blocked] == ["trading", "compliance"], "of the refusal alone, of no restatement"
    restated = Notice.objects.get(event=Event.RESTATED)
    assert (restated.place, restated.tier, (restated.rows or 0) > 0) == (str(OTC), "OTC", True)
    assert Notice.objects.get(event=Event.REFUSED).closed_why.startswith("marketspine: run")


def test_what_is_rolled_back_is_not_told(ledger: Ledger) -> None:
    with suppress(RuntimeError), transaction.atomic():
        Anomaly.objects.record(Category.INTERNAL, Severity.CRITICAL, "broken")
        raise RuntimeError
    assert not Notice.objects.exists()


def test_the_same_again_is_counted_and_graver_is_another_revision(ledger: Ledger) -> None:
    for severity in (Severity.WARN, Severity.WARN, Severity.ERROR, Severity.WARN):
        notice = Notice.objects.open(late(severity=severity))
    assert (notice.count, notice.severity, notice.revision) == (4, "ERROR", 2)
    assert Notice.objects.close(Event.LATE, notice.place, "captured") == 1
    assert Notice.objects.open(late()).pk != notice.pk


def test_an_anomaly_that_is_resolved_and_reopened_is_over_and_open_again(ledger: Ledger) -> None:
    anomaly = Anomaly.objects.record(Category.CALC_FAILED, Severity.ERROR, "no", week_ending=WEEK)
    anomaly.resolve(by="olive", note="mended")
    assert open_ones() == set()
    anomaly.reopen()
    assert open_ones() == {("FAILED", str(WEEK), "ERROR")}


def test_a_week_that_stays_blocked_is_told_after_ten_minutes(ledger: Ledger, source_dir: Path) -> None:
    """A process died between the capture and the verdict; the next run passes it, and that is the end."""
    publish_week(source_dir)
    call("backfill", "--weeks", WEEK, "--run-date", DAY)
    Readiness.objects.block(WEEK, "a capture was made")
    for minutes in (9, 10, 11):
        look.look(timezone.now() + timedelta(minutes=minutes, seconds=1))
        assert Notice.objects.unclosed().filter(event=Event.BLOCKED).count() == (3 if minutes >= 10 else 0)
    opened = Notice.objects.get(event=Event.BLOCKED, use=Use.TRADING)
    assert (opened.severity, opened.what, opened.count) == (
        "ERROR",
        "a capture was made; the week is not judged again yet",
        1,
    )
    call("backfill", "--weeks", WEEK, "--run-date", DAY)
    assert not Notice.objects.unclosed().filter(event=Event.BLOCKED).exists()


def test_a_run_whose_process_died_is_told(ledger: Ledger) -> None:
    plan = make_plan(Request(command="run_weekly", run_date=DAY, weeks=(WEEK,)), {OTC})
    run = lifecycle.start(plan, "elsewhere-0:1:a")
    Run.objects.filter(pk=run.pk).update(heartbeat_at=run.heartbeat_at - timedelta(hours=1))
    call("recover_runs")
    assert ("RUN_FAILED", "run_weekly", "ERROR") in open_ones()
    run.refresh_from_db()
    lifecycle.move(run, RunStatus.RUNNING)
    lifecycle.move(run, RunStatus.SUCCEEDED)
    assert open_ones() == set()
