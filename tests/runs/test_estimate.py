"""The cost of a plan at FINRA's API before anything is captured or measured: pages of typical partitions."""

from __future__ import annotations

from datetime import timedelta

from pytest_django import Settings

from pipeline.finra.calendar import Tier
from pipeline.models import Action
from pipeline.runs.estimate import TYPICAL_PAGE_SECONDS, Estimate, estimate
from pipeline.runs.plan import Plan, Step
from pipeline.runs.request import Request
from tests.management.publications import DAY, OTC, TIER_1
from tests.support.engines import Ledger

REQUEST = Request(command="run_weekly", run_date=DAY, tiers=(Tier.OTC,), source="api")
STEPS = (Step(TIER_1, Action.INGEST, ""), Step(OTC, Action.ARCHIVE, ""), Step(OTC, Action.NORMALIZE, ""))


def test_a_plan_costs_the_pages_of_its_partitions_and_the_first_of_each_cut(ledger: Ledger, settings: Settings) -> None:
    settings.MARKETSPINE_THREADS, settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND = 2, 20
    pages = (14 + 4) + (5 + 4)  # 68,200 and 23,100 rows with the totals, 5,000 in a page
    time = timedelta(seconds=pages * TYPICAL_PAGE_SECONDS / 2)
    assert estimate(Plan(REQUEST, STEPS)) == Estimate(2, pages, time, TYPICAL_PAGE_SECONDS, measured=False)


def test_a_plan_that_asks_finra_nothing_has_no_estimate(ledger: Ledger) -> None:
    assert estimate(Plan(REQUEST, STEPS[2:])) is None
    assert estimate(Plan(Request(command="run_weekly", run_date=DAY), STEPS)) is None


def test_a_time_is_told_in_the_unit_that_fits() -> None:
    def told(seconds: float) -> str:
        return str(Estimate(1, 2_000, timedelta(seconds=seconds), 1.44, measured=True)).partition("FINRA, ")[2]

    assert [told(seconds) for seconds in (98.2, 99.1, 5_940, 5_941, 11_880)] == [
        "99 seconds (1.4 s a page, as measured here)",
        "2 minutes (1.4 s a page, as measured here)",
        "99 minutes (1.4 s a page, as measured here)",
        "1.7 hours (1.4 s a page, as measured here)",
        "3.3 hours (1.4 s a page, as measured here)",
    ]
