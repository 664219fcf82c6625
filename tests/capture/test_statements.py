"""How often a partition asks the ledger: with two workers on two cores, each question costs both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipeline.capture import survey
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Anomaly, Category
from pipeline.runs import lifecycle, process_partition
from pipeline.runs.plan import make_plan
from pipeline.runs.request import OnlyStage, Request
from tests.capture.test_known_names import published
from tests.support.capturing import DAY, KEY, offered
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, row

pytestmark = pytest.mark.usefixtures("few_rows")

BOUNDS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")


def questions(act: Callable[[], object]) -> int:
    """The statements of an act, less the bounds of transactions."""
    with CaptureQueriesContext(connection) as asked:
        act()
    return sum(not one["sql"].startswith(BOUNDS) for one in asked.captured_queries)


def test_a_capture_asks_the_ledger_few_questions(ledger: Ledger) -> None:
    """The ledger's second capture: the first one makes rows of which there is one."""
    source = MemorySource()
    offered(source, [row("A", "UBSA", 9, tier=Tier.NMS_TIER_1)], key=PartitionKey(KEY.week_ending, Tier.NMS_TIER_1))

    def offer(shares: int) -> int:
        return questions(lambda: offered(source, [row("AAPL", "UBSA", shares)]))

    assert (offer(1), offer(1), offer(2)) == (23, 3, 30), "first, unchanged, restated"
    assert Anomaly.objects.filter(category=Category.RESTATED_SILENTLY).count() == 1


def test_a_partition_with_nothing_to_do_asks_four(ledger: Ledger) -> None:
    request = Request(
        command="run_weekly", run_date=DAY, weeks=(KEY.week_ending,), tiers=(KEY.tier,), only_stage=OnlyStage.CALC
    )
    step = lifecycle.start(make_plan(request, set())).partitions.get()
    assert questions(lambda: process_partition.process(step.pk, "machine:1:a")) == 4


def test_more_weeks_around_are_no_more_questions(ledger: Ledger) -> None:
    """Of a first capture, and of a week that is compared with those around it."""
    weeks = [PartitionKey(KEY.week_ending + timedelta(weeks=nth), Tier.OTC) for nth in range(5)]
    _, second, *later = [questions(partial(published, key)) for key in weeks]
    assert later == [second] * 3
    assert questions(lambda: survey.survey(KEY.week_ending, None)) == 3
