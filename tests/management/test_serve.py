"""`serve`: everything in one process, which ends when told to, and resumes what a killed one left."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from kombu.transport.memory import Channel
from pytest_django import Settings

from pipeline.engine import serving
from pipeline.finra.calendar import market_today
from pipeline.models import Action, Capture, OperatorLogEntry, PartitionStatus, Run, RunPartition, RunStatus
from pipeline.runs import lifecycle, recovery
from pipeline.runs.plan import make_plan, plan_with
from pipeline.runs.request import Request
from pipeline.runs.sources import source_of
from pipeline.task_names import START_SCHEDULED
from tests.management.calling import call, finish, start, start_on
from tests.management.publications import DAY, OLDER_WEEK, WEEK, publish, publish_week
from tests.support.engines import Engines, Ledger
from tests.support.ledger_state import check_consistent

PATIENCE = 120
SERVE = ("serve", "--port", "0")
STOPPING = "Stopping: what is under way is finished first. Ctrl-C ends at once."
STOPPED = "Stopped. The next start resumes what is not done yet."


@pytest.fixture
def sqlite(engines: Engines) -> Iterator[Ledger]:
    """For what does not differ by database."""
    with engines.using("sqlite") as ledger:
        yield ledger


def until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < give_up, "waited for too long"
        time.sleep(0.05)


def read_until(process: subprocess.Popen[str], *last: str) -> list[str]:
    """The lines printed, up to one that begins so."""
    assert process.stdout is not None
    lines: list[str] = []
    while not (lines and lines[-1].startswith(last)):
        line = process.stdout.readline()
        assert line, f"ended after {lines}: {process.communicate()}"
        lines.append(line.rstrip())
    return lines


@contextmanager
def served(ledger: Ledger, *arguments: str) -> Iterator[tuple[str, list[str]]]:
    """A process that serves, where it is and what it said; told to stop at the end of the block, it ends with 0."""
    process = start(ledger, "manage.py", *SERVE, *arguments)
    try:
        told = read_until(process, "Nobody ", "Sign in ")
        yield told[0].removeprefix("Market Spine is at "), told
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    finally:
        process.kill()
    assert (ended.code, ended.lines[-2:]) == (0, [STOPPING, STOPPED]), ended
    assert not RunPartition.objects.filter(status=PartitionStatus.RUNNING).exists()


def get(url: str) -> tuple[int, HTTPMessage, str]:
    """Status, headers and text; no redirect is followed."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_arguments: Any) -> None:
            return None

    try:
        answer = urllib.request.build_opener(Stay).open(url, timeout=PATIENCE)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        return answer.status, answer.headers, answer.read().decode()


def queued_run(source_dir: Path, weeks: Sequence[date] = (WEEK, OLDER_WEEK)) -> Run:
    """A run of the queue over weeks that are published, written and not sent."""
    for week in weeks:
        publish_week(source_dir, week)
    request = Request(command="run_weekly", run_date=DAY, weeks=tuple(weeks), origin=str(source_dir))
    return lifecycle.start(plan_with(request, source_of(request)))


def has_ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.status != RunStatus.RUNNING


def make_a_run_owed(source_dir: Path) -> None:
    """The weekly run was installed long ago, has never run, and looks one week back on what is published."""
    PeriodicTask.objects.filter(task=START_SCHEDULED).exclude(name="weekly run").update(enabled=False)
    begun = timezone.now() - timedelta(days=30)
    PeriodicTask.objects.filter(name="weekly run").update(start_time=begun, kwargs='{"lookback_weeks": 1}')
    for day in (market_today(), market_today() + timedelta(days=1)):  # midnight may be near
        for step in make_plan(Request(command="run_weekly", run_date=day, lookback_weeks=1)).steps:
            if step.action != Action.NOT_YET_DUE:
                publish(source_dir, step.key)


def test_the_admin_its_stylesheets_and_the_health_page_are_on_one_port(ledger: Ledger, source_dir: Path) -> None:
    with served(ledger) as (url, told):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        assert told[1:] == [
            "Running: web, a worker with 1 thread, beat. Ctrl-C stops it.",
            "Nobody can sign in yet. Create the first user: python manage.py createsuperuser",
        ]
        status, headers, _ = get(url)
        assert (status, headers["Location"]) == (302, "/admin/")
        assert get(f"{url}readyz")[::2] == (200, "ok\n")
        status, _, page = get(f"{url}admin/login/")
        sheets = re.findall(r'<link href="/([^"]+)" rel="stylesheet"', page)
        assert (status, "static/unfold/css/styles.css" in sheets, "static/pipeline/spine.css" in sheets) == (
            200,
            True,
            True,
        )
        for sheet in sheets:
            status, headers, _ = get(url + sheet)
            assert (status, headers.get_content_type()) == (200, "text/css")


def test_a_demo_administrator_is_made_on_request_only(sqlite: Ledger) -> None:
    passwords = set()
    for _ in range(2):
        with served(sqlite, "--demo") as (_, told):
            found = re.fullmatch(r"Sign in as demo with the password (\S{16}) \(a new one with each start\)\.", told[2])
            assert found, told
            passwords.add(found[1])
    assert len(passwords) == 2
    demo = User.objects.get()
    assert (
        demo.username,
        demo.is_superuser,
        demo.check_password(max(passwords)) or demo.check_password(min(passwords)),
    ) == ("demo", True, True)
    assert [(entry.act, entry.sentence) for entry in OperatorLogEntry.objects.order_by("pk")] == [
        ("ADD", "Added demo, an administrator, by serve --demo. Password: set"),
        ("CHANGE", "Changed demo, an administrator, by serve --demo. Password: set"),
    ]


def test_a_second_demo_leaves_the_first_ones_password(sqlite: Ledger) -> None:
    with served(sqlite, "--demo") as _:
        password = User.objects.get().password
        ran = call("serve", "--demo", "--port", "0", "--json")
        assert (ran.code, "another `serve --demo` has this ledger" in ran.document["error"]) == (2, True)
        assert User.objects.get().password == password


def test_a_demo_takes_no_account_that_it_did_not_make(sqlite: Ledger) -> None:
    somebody = User.objects.create_user("demo", email="demo@example.com", password="of their own")
    ran = call("serve", "--demo", "--port", "0")
    assert (ran.code, "there is a user 'demo' whom --demo did not make" in ran.err) == (2, True)
    somebody.refresh_from_db()
    assert (somebody.is_superuser, somebody.check_password("of their own")) == (False, True)


def test_a_demo_is_for_this_machine_alone(sqlite: Ledger) -> None:
    ran = call("serve", "--demo", "--host", "0.0.0.0")  # refused before anything listens
    assert ran.code == 2
    assert "--demo is for this machine alone" in ran.err
    assert not User.objects.exists()


def test_a_run_that_a_schedule_owes_is_started_and_worked_off(ledger: Ledger, source_dir: Path) -> None:
    make_a_run_owed(source_dir)
    with served(ledger):
        until(lambda: Run.objects.exclude(status=RunStatus.RUNNING).exists())

    (run,) = Run.objects.all()
    assert (run.trigger, run.schedule, run.status, run.worker) == ("BEAT", "weekly run", RunStatus.SUCCEEDED, "")


def test_without_beat_runs_are_worked_off_and_none_is_started(sqlite: Ledger, source_dir: Path) -> None:
    make_a_run_owed(source_dir)
    run = queued_run(source_dir)
    with served(sqlite, "--no-beat") as (_, told):
        assert told[1] == "Running: web, a worker with 1 thread, no beat. Ctrl-C stops it."
        until(lambda: has_ended(run))

    assert list(Run.objects.values_list("pk", "status")) == [(run.pk, RunStatus.SUCCEEDED)]
    assert not PeriodicTask.objects.filter(last_run_at__isnull=False).exists()


@pytest.mark.promise(9)
@pytest.mark.parametrize("point", ["commit.before 3", "week.close.before 1"])
def test_the_next_start_resumes_a_killed_run_at_once(ledger: Ledger, source_dir: Path, point: str) -> None:
    run = queued_run(source_dir)
    killed = finish(start(ledger, "-m", "tests.faults.signalling", "SIGKILL", *point.split(), *SERVE))
    assert killed.code == -signal.SIGKILL, killed
    assert not has_ended(run)
    lost = run.partitions.filter(status=PartitionStatus.PENDING, sent_at__isnull=False)
    assert lost.exists(), "sent, and in a memory that is gone"

    with served(ledger):
        until(lambda: has_ended(run))

    check_finished(run)


@pytest.mark.promise(9)
def test_stopped_it_finishes_what_is_under_way(ledger: Ledger, source_dir: Path) -> None:
    run = queued_run(source_dir, [WEEK - timedelta(weeks=back) for back in range(8)])
    stopped = finish(start(ledger, "-m", "tests.faults.signalling", "SIGTERM", "vintage.write.before", "2", *SERVE))

    assert (stopped.code, stopped.lines[-2:]) == (0, [STOPPING, STOPPED]), stopped
    assert not has_ended(run)
    left = Counter(run.partitions.values_list("status", "attempts"))
    assert left == {(PartitionStatus.DONE, 1): 2, (PartitionStatus.PENDING, 0): 22}, "the one under way is finished"

    with served(ledger):
        until(lambda: has_ended(run))

    check_finished(run)


def check_finished(run: Run) -> None:
    """All that is published is captured, each partition once."""
    assert run.status == RunStatus.SUCCEEDED
    assert set(run.partitions.values_list("outcome", flat=True)) == {"INGESTED"}
    assert Capture.objects.count() == run.partitions.count()
    check_consistent()


def test_a_second_ctrl_c_ends_it_at_once(sqlite: Ledger, source_dir: Path, tmp_path: Path) -> None:
    run = queued_run(source_dir)
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    hanging = ("-m", "tests.faults.signalling", f"MEET={meeting}", "archive.before", "1")
    process = start(sqlite, *hanging, *SERVE)
    until(lambda: any(meeting.iterdir()))
    read_until(process, "Running: ")

    process.send_signal(signal.SIGINT)
    read_until(process, STOPPING)
    process.send_signal(signal.SIGINT)

    assert finish(process).code == -signal.SIGINT
    with served(sqlite):
        until(lambda: has_ended(run))
    assert run.status == RunStatus.SUCCEEDED


def test_one_document_says_what_runs_and_that_there_is_a_first_user(sqlite: Ledger) -> None:
    User.objects.create_superuser("operator")
    process = start(sqlite, "manage.py", *SERVE, "--json", "--no-beat")
    document = json.loads("".join(read_until(process, "}")))
    process.send_signal(signal.SIGINT)
    ended = finish(process)

    assert (ended.code, ended.out) == (0, "")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", document.pop("url"))
    assert document == {"worker_threads": 1, "beat": False, "superuser": True}


def test_a_port_in_use_is_named(sqlite: Ledger) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = call("serve", "--port", port)
    assert ran.code == 2
    assert f"port {port} of 127.0.0.1 cannot be had: Address already in use; name another: --port" in ran.err


def test_a_number_that_is_no_port_is_refused(sqlite: Ledger) -> None:
    ran = call("serve", "--port", 65536)
    assert (ran.code, "--port 65536 is no port: 0 to 65535" in ran.err) == (2, True)


def test_a_broker_means_processes_of_their_own(engines: Engines, settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "redis://localhost:1/0"
    with engines.using("postgresql"):
        ran = call("serve")
    assert ran.code == 2
    assert "CELERY_BROKER_URL names a broker: web, workers and beat are then processes of their own" in ran.err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "spine.example"])
def test_no_others_with_the_placeholder_key_or_debug(sqlite: Ledger, settings: Settings, host: str) -> None:
    settings.SECRET_KEY = settings.PLACEHOLDER_KEY + "0"
    with_placeholder = call("serve", "--host", host)
    settings.SECRET_KEY, settings.DEBUG = "k" * 50, True
    in_debug_mode = call("serve", "--host", host)

    assert (with_placeholder.code, in_debug_mode.code) == (2, 2)
    assert f"--host {host} lets others in, and SECRET_KEY is the placeholder" in with_placeholder.err
    assert f"--host {host} lets others in, and DEBUG shows them settings and code" in in_debug_mode.err


def test_a_database_that_is_not_migrated_is_refused(tmp_path: Path) -> None:
    ran = finish(start_on(f"sqlite:///{tmp_path / 'empty.sqlite3'}", "manage.py", *SERVE))
    assert ran.code == 2
    assert "the database is not migrated: run `python manage.py migrate` first" in ran.err


def test_only_what_the_queue_was_sent_is_resent(ledger: Ledger, source_dir: Path) -> None:
    queued = queued_run(source_dir)
    of_a_command = lifecycle.start(make_plan(Request(command="backfill", run_date=DAY, weeks=(WEEK,))), "here:1:a")
    RunPartition.objects.update(sent_at=timezone.now())
    RunPartition.objects.filter(pk=queued.partitions.values_list("pk")[:1]).update(
        status=PartitionStatus.RUNNING, worker="here:1:b", started_at=timezone.now()
    )

    assert recovery.resend_queued() == 5

    assert queued.partitions.filter(sent_at__isnull=False, status=PartitionStatus.RUNNING).count() == 1
    assert of_a_command.partitions.filter(sent_at__isnull=True).count() == 0


def test_beat_goes_on_when_the_database_is_back(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "RESTART_SECONDS", 0.1)
    Channel.queues.clear()
    hours_ago = timezone.now() - timedelta(hours=2)
    sweep = PeriodicTask.objects.filter(name="stalled-run sweep")
    sweep.update(last_run_at=hours_ago)
    with without_table("django_celery_beat_crontabschedule"), serving.beat():
        until(lambda: "beat has stopped; it is started again in 0.1 s" in caplog.messages)
        with connection.cursor() as cursor:
            cursor.execute('ALTER TABLE away RENAME TO "django_celery_beat_crontabschedule"')
        until(lambda: "pipeline.sweep" in sent())
    assert sweep.exclude(last_run_at=hours_ago).exists(), "what was sent is written when it stops"
    assert "beat" not in {thread.name for thread in threading.enumerate()}
    Channel.queues.clear()


def sent() -> list[str]:
    """The names of the tasks that wait in this process's memory."""
    waiting: Any = Channel.queues.get("control")
    return [message["headers"]["task"] for message in list(waiting.queue)] if waiting else []


@contextmanager
def without_table(name: str) -> Iterator[None]:
    """The table has another name, `away`, unless the block gives it its own again."""
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE "{name}" RENAME TO away')
    try:
        yield
    finally:
        if name not in connection.introspection.table_names():
            with connection.cursor() as cursor:
                cursor.execute(f'ALTER TABLE away RENAME TO "{name}"')
