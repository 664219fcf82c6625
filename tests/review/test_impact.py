"""What a restatement moved: the two snapshots that are compared, and the figures of both."""

from __future__ import annotations

import pytest

from pipeline.models import AnalyticsSnapshot, Capture
from pipeline.review import impact
from pipeline.review.impact import NothingToCompare
from tests.admin.vintages import captured, two_vintages
from tests.management.publications import OTC, TIER_1, TIER_2, content
from tests.support.engines import Ledger

pytestmark = pytest.mark.usefixtures("few_rows")

DOUBLED = (
    ("AAPL", "UBSA", "201", 3),
    ("AAPL", "SGMT", "50", 2),
    ("MSFT", "UBSA", "25.25", 1),
    ("ZZZZ", "SGMT", "4", 1),
)


def test_venue_shares_and_concentration_before_and_with_the_restatement(ledger: Ledger) -> None:
    captured(OTC, content(OTC))
    restated = captured(OTC, content(OTC, DOUBLED))

    moved = impact.movement_of(restated)

    assert (moved.before.sequence, moved.after.sequence) == (1, 2)
    assert {move.venue.mpid: move.share_change for move in moved.venues} == {
        "UBSA": pytest.approx(226.25 / 280.25 - 125.75 / 179.75),
        "SGMT": pytest.approx(54 / 280.25 - 54 / 179.75),
    }
    (market,) = moved.concentrations
    assert market.before is not None
    assert market.after is not None
    assert (market.scope, market.family) == ("OTC", "ATS")
    assert market.before.hhi_high == pytest.approx((125.75**2 + 54**2) / 179.75**2)
    assert market.after.hhi_high == pytest.approx((226.25**2 + 54**2) / 280.25**2)
    assert [(change.tier, change.before, change.after) for change in moved.inputs] == [
        ("OTC", Capture.objects.get(version=1), restated)
    ]


def test_a_tier_restated_at_the_same_time_is_named(ledger: Ledger) -> None:
    for key in (OTC, TIER_2):
        captured(key, content(key), compute=False)
    captured(TIER_1, content(TIER_1))
    captured(TIER_1, content(TIER_1, DOUBLED), compute=False)
    captured(OTC, content(OTC, DOUBLED))

    moved = impact.movement_of(Capture.objects.get(partition__tier="OTC", version=2))

    assert [change.tier for change in moved.inputs] == ["NMS_TIER_1", "OTC"]
    assert [(move.scope, move.family) for move in moved.concentrations] == [("OTC", "ATS"), ("ALL", "ATS")]


def test_why_nothing_can_be_compared_is_said(ledger: Ledger) -> None:
    first, second = two_vintages()

    with pytest.raises(NothingToCompare, match="snapshot 1 is the first of its week"):
        impact.movement_of(first)
    AnalyticsSnapshot.objects.all().delete()
    with pytest.raises(NothingToCompare, match="A newer version replaced it before the week was computed"):
        impact.movement_of(first)
    with pytest.raises(NothingToCompare, match="The week has not been computed since it was captured"):
        impact.movement_of(second)


def test_a_tier_that_was_not_computed_before_moved_nothing(ledger: Ledger) -> None:
    captured(TIER_1, content(TIER_1))
    later = captured(OTC, content(OTC))

    with pytest.raises(NothingToCompare, match="2025-11-14 snapshot 1 was computed without OTC"):
        impact.movement_of(later)


def test_a_capture_whose_rows_are_not_stored_moved_nothing(ledger: Ledger) -> None:
    archived = captured(OTC, content(OTC), normalize=False)

    with pytest.raises(NothingToCompare, match="Its rows are not stored"):
        impact.movement_of(archived)
