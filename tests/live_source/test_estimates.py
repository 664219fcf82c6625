"""What a plan says before it starts: requests, and a time that is not better than FINRA is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from pipeline.finra.calendar import last_fridays
from pipeline.models import RunPartition
from pipeline.runs.estimate import LEAST_PAGES, Estimate, estimate
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from tests.fake_finra import FinraServer, Options, sample_service
from tests.live_source import product
from tests.support.engines import Engines

DAY = date(2025, 11, 10)
FIVE_YEARS = Request(command="backfill", run_date=DAY, weeks=last_fridays(265, DAY)[5:], source="api")


@pytest.fixture
def finra(engines: Engines, settings: Settings) -> Iterator[FinraServer]:
    service = sample_service(last_fridays(12, DAY), today=DAY, securities=1, options=Options(requests_per_second=None))
    with FinraServer(service) as server, engines.using("sqlite"):
        product.point_at(server, settings)
        settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND, settings.MARKETSPINE_THREADS = 20, 2
        yield server


def estimated(request: Request) -> Estimate:
    found = estimate(make_plan(request))
    assert found is not None
    return found


def test_five_years_take_hours_until_pages_are_measured(finra: FinraServer) -> None:
    found = estimated(FIVE_YEARS)
    assert (found.partitions, found.requests, found.measured) == (780, 16_640, False)
    assert found.time == timedelta(seconds=16_640 * 1.4 / 2)
    assert str(found) == (
        "780 partitions: about 16,640 requests to FINRA, 3.3 hours (1.4 s a page, until it is measured here)"
    )


def test_the_time_of_a_page_is_measured_in_the_ledger(finra: FinraServer, settings: Settings) -> None:
    settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND = 100_000
    with product.day(DAY, finra):
        product.run(Request(command="run_weekly", run_date=DAY, source="api"))
    captured = RunPartition.objects.filter(capture__isnull=False)
    # As if each had taken 7.5 s: five pages (its rows, and one for each cut), 1.5 s a page.
    captured.update(started_at=timezone.now(), finished_at=timezone.now())
    captured.update(finished_at=F("started_at") + timedelta(seconds=7.5))
    settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND = 20

    found = estimated(FIVE_YEARS)

    assert captured.count() * 5 >= LEAST_PAGES
    assert (found.measured, found.page_seconds) == (True, 1.5)


def test_no_plan_is_quicker_than_the_rate_allows(finra: FinraServer, settings: Settings) -> None:
    settings.MARKETSPINE_THREADS = 100
    assert estimated(FIVE_YEARS).time == timedelta(seconds=16_640 / (20 * 0.8))
