"""What was not captured is null, and never a zero: nothing is known of a kind of venues, or of a week, that is not held."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from pipeline import readers
from pipeline.admin.shared.moves import venue_moves
from pipeline.readers.revision_sentence import moves_of
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, WEEK, stored

DUE = datetime(2025, 12, 15, 15, tzinfo=UTC)  # OTC of WEEK
DAY = timedelta(days=1)
AFTER = WEEK + 7 * DAY
ATS, FIRM = ("AAA", "UBSA", "60", 6), ("AAA", "A firm", "40", 2)
OF_OTC = {"tier": "OTC"}


@pytest.fixture(autouse=True)
def _a_week_of_which_the_firms_come_later(ledger: Ledger) -> Iterator[None]:
    """WEEK was captured without its firms, and with them three days later; of AFTER both kinds came at once."""
    stored([ATS], DUE)
    stored([("AAA", "UBSA", "90", 6), ("AAA", "SGMT", "10", 6), FIRM], DUE + 3 * DAY)
    stored([ATS, FIRM], DUE + 7 * DAY, key=KEY._replace(week_ending=AFTER))
    with time_machine.travel(DUE + 40 * DAY, tick=False):
        yield


def test_a_week_of_which_nothing_is_captured_has_no_sums() -> None:
    sums = readers.weeks(week_ending=[WEEK - 7 * DAY, WEEK]).frame.select("rows", "shares", "trades", "restated").rows()

    assert sums == [(None, None, None, None), (3, 140, 14, True)]


def test_a_kind_that_the_first_publication_lacks_has_no_revision() -> None:
    triangle = readers.revision_triangle(**OF_OTC, ages=[3]).frame
    assert triangle.select("week_ending", "venue_kind", "state", "value").rows() == [
        (WEEK, "ALL", "VERIFIED", pytest.approx(80 / 60)),
        (WEEK, "ATS", "VERIFIED", pytest.approx(40 / 60)),
        (AFTER, "ALL", "NOT_VERIFIED", None),
        (AFTER, "ATS", "NOT_VERIFIED", None),
        (AFTER, "NON_ATS", "NOT_VERIFIED", None),
    ]
    profile = readers.revision_profile(**OF_OTC, ages=[0]).frame.select("venue_kind", "partitions_verified", "p50")
    assert profile.rows() == [("ALL", 2, 0.0), ("ATS", 2, 0.0), ("NON_ATS", 1, 0.0)]
    moves = [[(move.gross, move.net) for move in moves_of("OTC", kind, 0)] for kind in ("ATS", "NON_ATS")]
    assert moves == [[(pytest.approx(40 / 60), pytest.approx(40 / 60)), (0.0, 0.0)], [(0.0, 0.0)]]


def test_shares_move_only_where_both_sides_have_the_kind() -> None:
    columns = ("largest_share_move_bp", "rank_changes_top10")
    assert readers.restatements(**OF_OTC).frame.select(columns).rows() == [(pytest.approx(1000), 0)]
    stored([FIRM], DUE, key=KEY._replace(week_ending=WEEK - 7 * DAY))
    stored([ATS], DUE + DAY, key=KEY._replace(week_ending=WEEK - 7 * DAY))
    assert readers.restatements(**OF_OTC).frame.select(columns).rows()[1:] == [(None, None)]

    sides = [readers.venues(week_ending=WEEK, **OF_OTC, **vintage) for vintage in ({"vintage": "first"}, {})]
    assert venue_moves(*sides).select("venue_name", "moved").rows() == [
        ("SGMT ATS", pytest.approx(0.1)),
        ("UBSA ATS", pytest.approx(-0.1)),
        ("A firm", None),
    ]
