"""FINRA asks not to download again and again what did not change: what a plan asks about, and what it downloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey, Tier, last_fridays
from pipeline.finra.sources.api.fields import SummaryType
from pipeline.models import Action, Anomaly, Capture, Category, Listing, Severity, Stage
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Only, OnlyStage, Request
from pipeline.vintages import archive
from tests.fake_finra import FinraServer, Options, sample_service
from tests.live_source import product
from tests.support.engines import Engines

WEEK = date(2025, 10, 3)
DAY, LONG_AFTER = date(2025, 11, 10), date(2026, 10, 12)
KEY = PartitionKey(WEEK, Tier.OTC)
RANGE = Request(command="backfill", run_date=DAY, weeks=(WEEK,), tiers=(Tier.OTC,), source="api")
AGAIN = replace(RANGE, run_date=LONG_AFTER)


@pytest.fixture
def finra(engines: Engines, settings: Settings) -> Iterator[FinraServer]:
    service = sample_service([WEEK], today=DAY, securities=1, options=Options(requests_per_second=None))
    with FinraServer(service) as server, engines.using("sqlite"):
        product.point_at(server, settings)
        yield server


def captured(finra: FinraServer, request: Request) -> None:
    with product.day(DAY, finra):
        product.run(request)
    assert Capture.objects.count() == 1


@pytest.mark.parametrize(
    ("request_", "action"),
    [
        (RANGE, Action.PROBE),
        (AGAIN, Action.PROBE),
        (replace(AGAIN, command="run_weekly", run_date=DAY, weeks=None), Action.PROBE),
        (replace(AGAIN, force=True), Action.INGEST),
        (replace(AGAIN, only_stage=OnlyStage.INGEST), Action.ARCHIVE),
        (replace(AGAIN, source="files"), Action.INGEST),
        (replace(AGAIN, weeks=None, partitions=(KEY,)), Action.INGEST),
        (replace(AGAIN, probe=True, only=Only.CAPTURED), Action.PROBE),
    ],
    ids=["a range", "long after", "weekly", "forced", "only archived", "from files", "named", "swept"],
)
def test_what_is_captured_is_asked_about_before_it_is_downloaded(
    finra: FinraServer, request_: Request, action: Action
) -> None:
    captured(finra, RANGE)
    assert {step.key: step.action for step in make_plan(request_).steps}[KEY] == action


def test_what_was_only_archived_is_downloaded(finra: FinraServer) -> None:
    captured(finra, replace(RANGE, only_stage=OnlyStage.INGEST))
    assert [step.action for step in make_plan(AGAIN).steps] == [Action.INGEST]


def lose_payload(held: Capture) -> None:
    default_storage.delete(archive.path_of(held.payload_sha256))


def refuse(held: Capture) -> None:
    """What the source had had as many rows, and dates as old, as what is held."""
    Anomaly.objects.record(Category.REFUSED, Severity.ERROR, "restates 29%", partition=held.partition, stage=Stage.RAW)


def date_a_row_in_the_future(held: Capture) -> None:
    Listing.objects.filter(partition=held.partition).update(update_date=date(2099, 1, 5))


@pytest.mark.parametrize("doubt", [lose_payload, refuse, date_a_row_in_the_future])
def test_what_counts_cannot_tell_is_downloaded(finra: FinraServer, doubt: Callable[[Capture], None]) -> None:
    captured(finra, RANGE)
    doubt(Capture.objects.get())
    with product.day(DAY, finra):
        finra.service.log.clear()
        product.run(RANGE)
    assert sum(entry.rows for entry in finra.service.log.entries("weeklySummary")) > 1
    assert not Anomaly.objects.open().filter(category=Category.REFUSED).exists()


def test_a_probe_asks_about_captured_partitions_only(finra: FinraServer) -> None:
    captured(finra, RANGE)
    with product.day(LONG_AFTER, finra):
        finra.service.log.clear()
        product.run(replace(AGAIN, command="probe_restatements", probe=True, only=Only.CAPTURED, tiers=tuple(Tier)))
    assert [entry.path.split("/")[1] for entry in finra.service.log.entries()] == ["partitions", *["data"] * 3]


def test_a_tuesday_asks_three_questions_of_each_partition_and_downloads_nothing(
    engines: Engines, settings: Settings
) -> None:
    """The weekly run's look-back, as the re-check of the other weekdays has it."""
    monday, weeks = date(2025, 11, 10), last_fridays(12, date(2025, 11, 10))
    service = sample_service(weeks, today=monday, securities=1, options=Options(requests_per_second=None))
    with FinraServer(service) as server, engines.using("sqlite"):
        product.point_at(server, settings)
        counted = {}
        for day in (monday, monday + timedelta(days=1)):
            with product.day(day, server):
                server.service.log.clear()
                run = product.run(Request(command="run_weekly", run_date=day, source="api"))
                due = run.partitions.exclude(action=Action.NOT_YET_DUE).count()
                entries = [each for each in server.service.log.entries("weeklySummary") if each.method == "POST"]
                questions = sum(isinstance(entry.body, dict) and entry.body.get("limit") == 1 for entry in entries)
                counted[day] = (due, questions, len(entries) - questions)
    (due, questions, pages), tuesday = counted.values()
    assert (questions, pages) == (0, due * len(SummaryType))
    assert tuesday == (due, due * 3, 0)
