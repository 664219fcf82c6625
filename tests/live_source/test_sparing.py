"""FINRA asks not to download history older than a year again: what a plan spares, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from pytest_django import Settings

from pipeline.calendar import PartitionKey, Tier
from pipeline.models import Action, Capture
from pipeline.planning import Only, OnlyStage, Request, make_plan
from tests.engines import Engines
from tests.finra_service import FinraServer, Options, sample_service
from tests.live_source import product

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
        (AGAIN, Action.NONE),
        (replace(AGAIN, run_date=date(2026, 10, 3)), Action.INGEST),
        (replace(AGAIN, force=True), Action.INGEST),
        (replace(AGAIN, source="files"), Action.INGEST),
        (replace(AGAIN, weeks=None, partitions=(KEY,)), Action.INGEST),
        (replace(AGAIN, look=True, only=Only.CAPTURED), Action.LOOK),
    ],
    ids=["a range", "a year old", "forced", "from files", "named", "asked about"],
)
def test_what_is_spared(finra: FinraServer, request_: Request, action: Action) -> None:
    captured(finra, RANGE)
    assert [step.action for step in make_plan(request_).steps] == [action]


def test_what_was_only_archived_is_not_spared(finra: FinraServer) -> None:
    captured(finra, replace(RANGE, only_stage=OnlyStage.INGEST))
    assert [step.action for step in make_plan(AGAIN).steps] == [Action.INGEST]


def test_a_sweep_sees_that_finra_answers_and_asks_about_what_is_captured_only(finra: FinraServer) -> None:
    captured(finra, RANGE)
    with product.day(LONG_AFTER, finra):
        finra.service.log.clear()
        product.run(replace(AGAIN, command="sweep_restatements", look=True, only=Only.CAPTURED, tiers=tuple(Tier)))
    assert [entry.path.split("/")[1] for entry in finra.service.log.entries()] == ["partitions", *["data"] * 4]
