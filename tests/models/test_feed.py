"""The feed of captures: positions in the order of commits; and a check for each look at a source."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import connections, transaction

from pipeline.models import Check, FeedCounter, Outcome, Partition, Seen
from tests.support.engines import Ledger
from tests.vintages.frames import KEY

PATIENCE = 120


@pytest.mark.promise(10)
def test_a_later_commit_never_has_a_smaller_position(ledger: Ledger) -> None:
    """The second transaction began first; it takes its position when the first one has committed, and not before."""
    taken, go_on, order = threading.Event(), threading.Event(), list[tuple[str, int]]()

    def first() -> None:
        try:
            with transaction.atomic():
                position = FeedCounter.objects.take()
                taken.set()
                assert go_on.wait(PATIENCE)
            order.append(("first", position))
        finally:
            connections.close_all()

    def second() -> None:
        try:
            assert taken.wait(PATIENCE)
            with transaction.atomic():
                position = FeedCounter.objects.take()
            order.append(("second", position))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=act) for act in (second, first)]
    for thread in threads:
        thread.start()
    assert taken.wait(PATIENCE)
    threads[0].join(0.2)
    waited = threads[0].is_alive()
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert waited
    assert sorted(order) == [("first", 1), ("second", 2)]


def test_a_position_that_is_rolled_back_is_given_again(ledger: Ledger) -> None:
    with transaction.atomic():
        assert FeedCounter.objects.take() == 1
        transaction.set_rollback(True)
    with transaction.atomic():
        assert [FeedCounter.objects.take() for _ in range(3)] == [1, 2, 3]


def test_each_look_leaves_a_check_the_newest_first(ledger: Ledger) -> None:
    partition = Partition.objects.create(week_ending=KEY.week_ending, tier=KEY.tier)
    for hour, seen in ((9, Outcome.INGESTED), (10, Seen.UNMOVED), (11, Outcome.FAILED)):
        with time_machine.travel(datetime(2025, 12, 15, hour, tzinfo=UTC), tick=False):
            Check.objects.note(partition, None, seen)
    found = [(check.checked_at.hour, check.outcome) for check in Check.objects.filter(partition=partition)]
    assert found == [(11, "FAILED"), (10, "UNMOVED"), (9, "INGESTED")]


@pytest.mark.parametrize("outcome", [Outcome.NOT_YET_DUE, Outcome.CANCELLED])
def test_what_was_not_looked_at_is_no_check(ledger: Ledger, outcome: Outcome) -> None:
    partition = Partition.objects.create(week_ending=KEY.week_ending, tier=KEY.tier)
    with pytest.raises(ValueError, match=outcome.value):
        Check.objects.note(partition, None, outcome)
    assert not Check.objects.exists()
