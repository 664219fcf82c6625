"""Rows that differ, the biggest movers first: the same rows that `vintages.difference` finds, some at a time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline import differences
from pipeline import row_versions as vintages
from pipeline.differences import Kind
from pipeline.models import Capture
from pipeline.row_versions import NoSuchVintage, RowChange
from tests.admin.vintages import captured, two_vintages
from tests.commands.publications import OTC, ROWS, TIER_1, content
from tests.engines import Ledger

pytestmark = pytest.mark.usefixtures("few_rows")


def told(change: RowChange) -> tuple[str, str, Decimal | None, Decimal | None]:
    before, after = change.before, change.after
    return change.kind, change.key.symbol, before.shares if before else None, after.shares if after else None


def test_the_biggest_mover_comes_first_whichever_way_it_moved(ledger: Ledger) -> None:
    difference = differences.compare(*two_vintages())

    assert (difference.added, difference.changed, difference.removed, difference.count()) == (1, 1, 1, 3)
    assert [told(change) for change in differences.movers(difference, 0, 10)] == [
        ("added", "NEWW", None, Decimal("7.5")),
        ("removed", "ZZZZ", Decimal(4), None),
        ("changed", "AAPL", Decimal("100.5"), Decimal("101.000001")),
    ]
    assert [told(change)[1] for change in differences.movers(difference, 1, 1)] == ["ZZZZ"]
    assert [told(change)[1] for change in differences.movers(difference, 0, 10, Kind.CHANGED)] == ["AAPL"]


def test_it_is_the_difference_that_vintages_tell_in_both_directions(ledger: Ledger) -> None:
    first, second = two_vintages()

    for before, after in ((first, second), (second, first), (first, first)):
        all_movers = differences.all_movers(differences.compare(before, after))
        assert sorted(map(repr, all_movers)) == sorted(map(repr, vintages.difference(before, after)))


def test_a_row_that_was_changed_and_changed_back_does_not_differ(ledger: Ledger) -> None:
    first, second = two_vintages()
    third = captured(OTC, content(OTC))

    assert differences.compare(first, third).count() == 0
    assert differences.compare(second, third).count() == 3


def test_only_captures_of_one_partition_whose_rows_are_stored_are_compared(ledger: Ledger) -> None:
    first = captured(OTC, content(OTC))
    other = captured(TIER_1, content(TIER_1))
    archived = captured(OTC, content(OTC, (*ROWS, ("NEWW", "SGMT", "7.5", 1))), normalize=False)

    with pytest.raises(ValueError, match="captures of two partitions"):
        differences.compare(first, other)
    with pytest.raises(NoSuchVintage, match="not stored yet"):
        differences.compare(first, archived)
    assert Capture.objects.count() == 3
