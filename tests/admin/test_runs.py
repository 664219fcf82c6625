"""Runs: the list with what came of each, the page with its log, and the piece of it that follows a run under way."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pipeline.admin.runs.request_words import TAKEN, in_words, ranges
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Action, Run
from pipeline.runs import lifecycle
from pipeline.runs.plan import Plan, Step
from pipeline.runs.request import Only, OnlyStage, Request
from tests.admin.vintages import SCRIPT, signed_in
from tests.management.calling import call
from tests.management.publications import DAY, OLDER_WEEK, OTC, TIER_1, TIER_2, WEEK, publish
from tests.support.engines import Begin, Ledger

LIST = "/admin/pipeline/run/"


def page_of(run: Run) -> str:
    return reverse("admin:pipeline_run_change", args=[run.pk])


def live_of(run: Run) -> str:
    return reverse("admin:pipeline_run_live", args=[run.pk])


def started(*keys: PartitionKey, reason: str = "") -> Run:
    """A run of these partitions that nobody has begun."""
    request = Request(command="backfill", run_date=DAY, partitions=keys, reason=reason, requested_by="olive")
    return lifecycle.start(Plan(request, tuple(Step(key, Action.INGEST, "never captured") for key in keys)))


def one_of_two(source_dir: Path) -> None:
    publish(source_dir, OTC)
    publish(source_dir, TIER_1, f"<html>{SCRIPT}</html>".encode())
    call("run_weekly", "--weeks", WEEK, "--tiers", "OTC,T1", "--run-date", DAY)


@pytest.fixture
def half_failed(begin: Begin) -> Run:
    """A run of two partitions: one ingested, of the other an error page."""
    begin(one_of_two)
    return Run.objects.get()


def test_the_list_counts_what_came_of_each(half_failed: Run) -> None:
    started(TIER_2)
    shown = signed_in("Viewer").get(LIST)

    found = {run.pk: run.counts for run in shown.context["cl"].result_list}
    assert found[half_failed.pk] == {"INGESTED": 1, "FAILED": 1}
    assert [counts for pk, counts in found.items() if pk != half_failed.pk] == [{"PENDING": 1}]
    text = shown.content.decode()
    assert "1 ingested" in text
    assert "1 failed" in text
    assert "1 pending" in text


def test_the_list_is_narrowed_by_state_and_failures(half_failed: Run) -> None:
    other, viewer = started(TIER_2, reason="FINRA called"), signed_in("Viewer")

    def listed(**filters: str) -> list[int]:
        return [run.pk for run in viewer.get(LIST, filters).context["cl"].result_list]

    assert listed() == [other.pk, half_failed.pk]
    assert listed(status__exact="FAILED") == [half_failed.pk]
    assert listed(failures="some") == [half_failed.pk]
    assert listed(failures="none") == [other.pk]
    assert listed(q="finra called") == [other.pk]
    assert listed(command="run_weekly") == [half_failed.pk]


def test_the_page_tells_what_was_asked_what_came_of_it_and_why(half_failed: Run) -> None:
    page = signed_in("Viewer").get(page_of(half_failed))
    text = page.content.decode()

    assert SCRIPT not in text
    for expected in ("2025-11-14, OTC, NMS_TIER_1", "1 ingested", "this is an HTML or XML page", "first capture"):
        assert expected in text
    assert [line.step.outcome for line in page.context["steps"].object_list] == ["FAILED", "INGESTED"]
    assert len(page.context["captures"]) == 1
    assert [line.anomaly.category for line in page.context["anomalies"]] == ["UNREADABLE"]
    assert page.context["log"][0].what == "the run"
    assert "Retry failed" not in text


def test_a_run_under_way_is_followed_and_an_ended_one_is_not(half_failed: Run) -> None:
    running, viewer = started(OTC, TIER_2), signed_in("Viewer")

    piece = viewer.get(live_of(running)).content.decode()
    assert f"Run {running.pk} is running: 0 of 2 partitions done, 0 of 1 weeks closed." in piece
    assert "data-under-way" in piece
    assert "<html" not in piece
    assert '<progress max="2" value="0"' in piece
    assert "no-store" in viewer.get(live_of(running)).headers["Cache-Control"]
    ended = viewer.get(live_of(half_failed)).content.decode()
    assert f"Run {half_failed.pk} is failed: 2 of 2 partitions done, 1 of 1 weeks closed." in ended
    assert "data-under-way" not in ended
    assert "pipeline/run.js" in viewer.get(page_of(running)).content.decode()


def test_what_is_followed_is_read_only_and_for_who_has_signed_in(half_failed: Run) -> None:
    assert Client().get(live_of(half_failed)).status_code == 302
    viewer = signed_in("Viewer")
    assert viewer.post(live_of(half_failed)).status_code == 405
    assert viewer.get(f"{LIST}999/live/").status_code == 404


def test_a_run_is_cancelled_and_its_failures_retried(half_failed: Run) -> None:
    running, operator = started(TIER_2), signed_in("Operator")

    operator.post(f"{LIST}{running.pk}/do/cancel-run/", {"reason": "the wrong week"})
    running.refresh_from_db()
    assert (running.status, running.cancelled_by, running.cancel_reason) == ("CANCELLED", "operator", "the wrong week")
    assert "the wrong week" in operator.get(page_of(running)).content.decode()

    answer = operator.post(f"{LIST}{half_failed.pk}/do/retry-failed/", {"token": "a"}, follow=True)
    retried = Run.objects.latest("pk")
    assert f"Run {retried.pk} is queued with 1 partition." in answer.content.decode()
    assert [str(step.partition) for step in retried.partitions.all()] == [str(TIER_1)]
    assert "operator: retry failed partitions" in operator.get(page_of(half_failed)).content.decode()
    assert "Started by" in operator.get(page_of(retried)).content.decode()


def test_a_run_whose_failures_have_succeeded_since_offers_no_retry(half_failed: Run, source_dir: Path) -> None:
    operator, offer = signed_in("Operator"), f"{LIST}{half_failed.pk}/do/retry-failed/"
    assert offer in operator.get(page_of(half_failed)).content.decode()
    publish(source_dir, TIER_1)
    call("run_weekly", "--weeks", WEEK, "--tiers", "T1", "--run-date", DAY)
    assert offer not in operator.get(page_of(half_failed)).content.decode()
    said = operator.post(offer, {"token": "b"}, follow=True).content.decode()
    assert f"Refused: what failed in run {half_failed.pk} has succeeded since" in said


def test_parameters_are_said_in_words(ledger: Ledger) -> None:
    request = Request(
        command="backfill",
        run_date=DAY,
        weeks=(WEEK, OLDER_WEEK),
        tiers=(Tier.OTC,),
        only=Only.MISSING,
        only_stage=OnlyStage.INGEST,
        source="files",
        origin="somewhere",
        force=True,
    )
    run = Run(pk=7, parameters=request.parameters())

    assert dict(in_words(run)) == {
        "Of": "2025-11-07 to 2025-11-14 (2 weeks), OTC",
        "Today, for due dates": "2025-12-15",
        "Work": "fetch and archive only; rows are stored later",
        "Source": "files: somewhere",
        "Partitions": "those that are not captured",
        "Forced": "captured whether it changed or not",
    }
    sweep = Request(command="probe_restatements", run_date=DAY, only=Only.CAPTURED, probe=True, source="api")
    told = dict(in_words(Run(parameters=sweep.parameters())))
    asks = "ask whether each moved, fetch what did, compute the weeks"
    assert (told["Partitions"], told["Work"], told["Source"]) == ("those that are captured", asks, "api")
    assert set(Only) == TAKEN.keys()
    assert in_words(Run(parameters={"from": "long ago"})) == [("Parameters", '{\n  "from": "long ago"\n}')]


def test_weeks_are_said_as_ranges() -> None:
    weeks = [date(2025, 12, 5), date(2025, 10, 31), date(2025, 11, 7), date(2025, 11, 14)]
    assert ranges(weeks) == "2025-10-31 to 2025-11-14 (3 weeks), 2025-12-05"
    assert ranges([]) == "no week"


def test_list_and_page_take_as_many_queries_for_many(half_failed: Run) -> None:
    viewer = signed_in("Viewer")

    def taken(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert viewer.get(url).status_code == 200
        return len(queries)

    small, large = started(OTC), started(*keys_of_weeks(40))
    few, page, live = (taken(url) for url in (LIST, page_of(small), live_of(small)))
    for _ in range(20):
        started(TIER_2)
    assert (taken(LIST), taken(page_of(large)), taken(live_of(large))) == (few, page, live)
    assert (few, page, live) <= (12, 22, 9)
    assert len(viewer.get(page_of(large)).context["steps"].object_list) == 100


def keys_of_weeks(weeks: int) -> list[PartitionKey]:
    days = [date.fromordinal(OLDER_WEEK.toordinal() - 7 * number) for number in range(weeks)]
    return [PartitionKey(day, tier) for day in days for tier in Tier]
