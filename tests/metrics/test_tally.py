"""The tally only grows, whoever adds to it and adds it up at once."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from pipeline.models import Tally, TallyEntry
from tests.support.capturing import at_once
from tests.support.engines import Ledger


def test_what_is_counted_is_told_before_and_after_it_is_added_up(ledger: Ledger) -> None:
    Tally.objects.add("captures", tier="OTC", kind="FIRST")
    Tally.objects.add("captures", kind="FIRST", tier="OTC")
    Tally.objects.add("finra_wait_seconds", 0.25, endpoint="data")
    expected = {
        "captures": {(("kind", "FIRST"), ("tier", "OTC")): 2},
        "finra_wait_seconds": {(("endpoint", "data"),): 0.25},
    }
    assert Tally.objects.sums() == expected
    assert Tally.objects.fold() == 3
    assert (Tally.objects.sums(), TallyEntry.objects.count()) == (expected, 0)
    Tally.objects.add("captures", tier="OTC", kind="FIRST")
    assert Tally.objects.sums()["captures"] == {(("kind", "FIRST"), ("tier", "OTC")): 3}
    assert (Tally.objects.fold(), Tally.objects.fold()) == (1, 0)
    assert Tally.objects.get(name="captures").value == 3


def test_what_is_rolled_back_is_not_counted(ledger: Ledger) -> None:
    with transaction.atomic():
        Tally.objects.add("captures", tier="OTC", kind="FIRST")
        transaction.set_rollback(True)
    assert Tally.objects.sums() == {}


def test_nothing_can_be_taken_from_it(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError):
        Tally.objects.add("captures", -1, tier="OTC", kind="FIRST")


@pytest.mark.each_database
def test_several_that_add_and_add_up_at_once_lose_nothing(ledger: Ledger) -> None:
    def work() -> int:
        for _ in range(10):
            Tally.objects.add("captures", tier="OTC", kind="FIRST")
            Tally.objects.fold()
        return 10

    assert sum(at_once(*[work] * 4)) == 40
    Tally.objects.fold()
    assert Tally.objects.sums() == {"captures": {(("kind", "FIRST"), ("tier", "OTC")): 40}}
