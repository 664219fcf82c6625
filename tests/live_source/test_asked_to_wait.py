"""FINRA asks to wait for longer than a worker stands still: nobody asks before, and the next tries come after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from pytest_django import Settings

from pipeline.engine import canvas
from pipeline.models import PartitionStatus, Run
from pipeline.runs import plan, process_partition, sources
from pipeline.runs.process_partition import TryAgain
from pipeline.runs.request import Request
from tests.fake_finra import Fault, FinraServer, Kind, Options, sample_service
from tests.live_source import product
from tests.support.engines import Engines

WEEK, DAY = date(2025, 10, 3), date(2025, 11, 10)
ASKED = timedelta(minutes=10)


@pytest.fixture
def finra(engines: Engines, settings: Settings) -> Iterator[FinraServer]:
    service = sample_service([WEEK], today=DAY, securities=1, options=Options(requests_per_second=None))
    with FinraServer(service) as server, engines.using("sqlite"):
        product.point_at(server, settings)
        settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND = 88_888  # a row of its own: nothing else is to wait
        settings.MARKETSPINE_FINRA_CONNECTIONS = 1  # the others would ask before the first is answered
        yield server


def launched() -> Run:
    request = Request(command="backfill", run_date=DAY, weeks=(WEEK,), source="api")
    return canvas.launch(plan.plan_with(request, sources.source_of(request)))


def test_no_partition_asks_before_the_time_that_finra_gave(finra: FinraServer) -> None:
    with product.day(DAY, finra) as noon:
        run = launched()
        finra.service.faults.add(Fault(Kind.STORM, 1, retry_after="600"))
        finra.service.log.clear()
        found = [process_partition.process(step.pk, "worker", retries=True) for step in run.partitions.all()]

        assert len(finra.service.log.entries()) == 1
        waits = [again.after for again in found if isinstance(again, TryAgain)]
        assert len(waits) == len(found)
        assert all(ASKED - timedelta(seconds=30) < wait <= ASKED for wait in waits), waits
        for step in run.partitions.all():
            assert step.status == PartitionStatus.PENDING
            assert step.retry_at is not None
            assert step.retry_at >= noon + ASKED - timedelta(seconds=30)
