"""Measures of restatements: between the vintages that are stored, whatever retention has taken between them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from pipeline.models import Capture, Revision
from pipeline.weeks import revisions
from tests.support.capturing import WEEK, captured, version
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, row

pytestmark = pytest.mark.usefixtures("few_rows")


def test_a_vintage_is_measured_against_the_stored_one_before_it_and_the_first(ledger: Ledger) -> None:
    source = MemorySource()
    for shares in (1, 3, 4, 9):
        captured(source, [row("A", "AAAA", shares)])
    Capture.objects.filter(pk=version(3).pk).update(pruned_at=timezone.now())

    for _ in range(2):
        revisions.measure_week(WEEK)

    found = Revision.objects.filter(venue_kind="ALL").order_by("base__version", "capture__version")
    versions = found.values_list("base__version", "capture__version", "shares_before", "shares_after", "shares_moved")
    expected = [(1, 2, 1, 3, 2), (1, 4, 1, 9, 8), (2, 4, 3, 9, 6)]
    assert list(versions) == [(base, version, *map(Decimal, shares)) for base, version, *shares in expected]
