"""Schedules: when they come, said in words; run now once; a form that takes only what can be run."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from pipeline.admin.schedules.times import in_words, next_at
from pipeline.models import OperatorLogEntry, Run, Trigger
from tests.admin.vintages import signed_in
from tests.support.engines import Ledger

LIST = "/admin/django_celery_beat/periodictask/"
NEW_YORK = ZoneInfo("America/New_York")


def weekly() -> PeriodicTask:
    return PeriodicTask.objects.get(name="weekly run")


def page_of(row: PeriodicTask) -> str:
    return reverse("admin:django_celery_beat_periodictask_change", args=[row.pk])


def filled(row: PeriodicTask, **changed: object) -> dict[str, object]:
    """What a browser sends of a schedule's form."""
    given = {name: getattr(row, f"{name}_id") or "" for name in ("crontab", "interval", "solar", "clocked")}
    form = {"name": row.name, "task": row.task, "enabled": "on", "args": "[]", "kwargs": row.kwargs, **given}
    return {**form, "start_time_0": "2025-01-01", "start_time_1": "00:00:00", **changed}


def crontab(**fields: str) -> PeriodicTask:
    return PeriodicTask(crontab=CrontabSchedule(timezone=NEW_YORK, **fields))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (crontab(minute="30", hour="10-10", day_of_week="1"), "Monday at 10:30, America/New_York"),
        (crontab(minute="30", hour="10-10", day_of_week="2-5"), "Tuesday to Friday at 10:30, America/New_York"),
        (crontab(minute="0", hour="9", day_of_week="1,4"), "Monday, Thursday at 09:00, America/New_York"),
        (crontab(minute="0", hour="12-12"), "each day at 12:00, America/New_York"),
        (PeriodicTask(interval=IntervalSchedule(every=1, period="minutes")), "every minute"),
        (PeriodicTask(), "no time: give it a crontab"),
    ],
)
def test_times_are_said_in_words(row: PeriodicTask, told: str) -> None:
    assert in_words(row) == told


def test_a_crontab_of_the_month_is_said_in_words() -> None:
    assert (
        in_words(crontab(minute="0", hour="9", day_of_month="1")) == "on day 1 of the month at 09:00, America/New_York"
    )


def test_the_next_time_goes_by_the_crontabs_clock() -> None:
    now = datetime.now(UTC)
    row = crontab(minute="30", hour="10-10", day_of_week="1")

    comes = next_at(row, now)
    assert comes is not None
    local = comes.astimezone(NEW_YORK)
    assert (local.weekday(), local.hour, local.minute, local.second) == (0, 10, 30, 0)
    assert comes > now
    row.enabled = False
    assert next_at(row, now) is None
    assert next_at(PeriodicTask(), now) is None


def test_the_list_says_when_each_comes_and_what_came_last(ledger: Ledger) -> None:
    slot = datetime(2025, 12, 15, 15, 30, tzinfo=UTC)
    fields = {"command": "run_weekly", "parameters": {}, "parameters_hash": "0", "run_date": slot.date()}
    run = Run.objects.create(
        **fields, trigger=Trigger.BEAT, created_at=slot, heartbeat_at=slot, schedule="weekly run", slot=slot
    )
    shown = signed_in("Viewer").get(LIST).content.decode()

    for expected in (
        "Monday at 10:30, America/New_York",
        "Tuesday to Friday",
        "every minute",
        f"run {run.pk}",
        "start a run",
    ):
        assert expected in shown
    assert "Run a schedule now" not in shown
    assert f"run {run.pk}" in signed_in("Operator").get(page_of(weekly())).content.decode()


def test_run_now_starts_one_run_however_often_the_button_is_pressed(ledger: Ledger) -> None:
    operator, act = signed_in("Operator"), f"{LIST}{weekly().pk}/do/run-now/"
    assert "Run a schedule now" in operator.get(page_of(weekly())).content.decode()

    answers = [operator.post(act, {"token": "pressed"}, follow=True) for _ in range(2)]

    run = Run.objects.get()
    assert (run.command, run.trigger, run.requested_by, run.schedule) == ("run_weekly", "ADMIN", "operator", "")
    assert all(f"Watch run {run.pk}" in answer.content.decode() for answer in answers)
    assert OperatorLogEntry.objects.get().subjects.get().key == str(weekly().pk)
    assert operator.get(act).status_code == 405
    assert signed_in("Viewer").post(act).status_code == 403


def test_run_now_from_the_list_takes_one_at_a_time(ledger: Ledger) -> None:
    operator, rows = signed_in("Operator"), list(PeriodicTask.objects.filter(task=weekly().task))
    chosen = {"action": "run-now", ACTION_CHECKBOX_NAME: [row.pk for row in rows]}

    assert "run them one by one" in operator.post(LIST, chosen, follow=True).content.decode()
    assert Run.objects.count() == 0
    operator.post(LIST, {**chosen, ACTION_CHECKBOX_NAME: [rows[0].pk]})
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"kwargs": "{"}, "This is not JSON"),
        ({"kwargs": "[1]"}, "Write for example"),
        ({"kwargs": '{"weeks": 3}'}, "unknown keyword arguments: weeks"),
        ({"kwargs": '{"lookback_weeks": 0}'}, "it must be a number from 1 to 520"),
        ({"task": "pipeline.process_partition"}, "Select a valid choice"),
        ({"crontab": ""}, "Only a crontab says which slot a run is for"),
        ({"expires_0": "2030-01-01", "expires_1": "00:00:00", "expire_seconds": "5"}, "not both"),
    ],
)
def test_the_form_refuses_what_could_not_be_run(ledger: Ledger, changed: dict[str, object], told: str) -> None:
    before = PeriodicTask.objects.values().get(name="weekly run")

    answer = signed_in("Administrator").post(page_of(weekly()), filled(weekly(), **changed))

    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert PeriodicTask.objects.values().get(name="weekly run") == before


def test_a_schedule_begins_on_a_day_in_the_one_form(ledger: Ledger) -> None:
    client = signed_in("Administrator")
    wrong = client.post(page_of(weekly()), filled(weekly(), start_time_0="11/14/2025")).content.decode()
    assert "&#x27;11/14/2025&#x27; is not a date; write a day as YYYY-MM-DD" in wrong
    client.post(page_of(weekly()), filled(weekly(), start_time_0="2030-11-14"))
    assert weekly().start_time == datetime(2030, 11, 14, tzinfo=UTC)


def test_an_administrator_changes_and_makes_schedules_and_an_operator_does_not(ledger: Ledger) -> None:
    administrator, change = signed_in("Administrator"), filled(weekly(), kwargs='{"lookback_weeks": 3}')

    assert signed_in("Operator").post(page_of(weekly()), change).status_code == 403
    assert administrator.post(page_of(weekly()), change).status_code == 302
    assert weekly().kwargs == '{"lookback_weeks": 3}'
    assert administrator.post(f"{LIST}add/", {**change, "name": "another"}).status_code == 302
    assert PeriodicTask.objects.get(name="another").crontab == weekly().crontab


def test_no_page_of_a_schedule_has_an_inline_script(ledger: Ledger) -> None:
    administrator, times = signed_in("Administrator"), "/admin/django_celery_beat/"
    pages = [LIST, f"{LIST}add/", page_of(weekly()), *(f"{times}{kind}schedule/" for kind in KINDS)]
    for page in (*pages, f"{times}crontabschedule/{weekly().crontab_id}/change/"):
        scripts = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", administrator.get(page).content.decode())
        assert all("application/json" in script for script in scripts), page


def test_results_of_tasks_are_shown_nowhere() -> None:
    for name in ("taskresult", "groupresult"):
        with pytest.raises(NoReverseMatch):
            reverse(f"admin:django_celery_results_{name}_changelist")


def test_the_list_takes_as_many_queries_for_few_as_for_many(ledger: Ledger) -> None:
    viewer = signed_in("Viewer")
    before = taken(viewer)
    for number in range(20):
        PeriodicTask.objects.create(name=f"{number}", task="pipeline.sweep", crontab=weekly().crontab)
    assert taken(viewer) == before <= 12


KINDS = ("crontab", "interval", "solar", "clocked")


def taken(client: Client) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(LIST).status_code == 200
    return len(queries)
