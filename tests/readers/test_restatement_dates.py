"""What FINRA's dates tell of its restatements, what moved from tier to tier, and how often was looked."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from pipeline import readers
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture
from pipeline.readers.revision_sentence import Move, _bias
from tests.readers.test_revisions import DAY, DUE, A, B, capture_at, shown
from tests.support.capturing import WEEK
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, row

GONE = row("GONE", "UBSA", 5)
SILENT = [B[0], row("BRKB", "SGMT", 90, 1), A[2], GONE]  # BRKB keeps its date
TOUCHED = [B[0], row("BRKB", "SGMT", 90, 1, updated="2026-01-14"), A[2], row("NEWW", "SGMT", 7)]


@pytest.fixture
def source(ledger: Ledger, few_rows: None) -> MemorySource:
    return MemorySource()


def test_rows_that_changed_beside_rows_that_moved_their_date(source: MemorySource) -> None:
    for days, lines in ((0, [*A, GONE]), (7, [*B, GONE]), (14, SILENT), (30, TOUCHED)):
        capture_at(source, DUE + days * DAY, lines)
    [found] = readers.restatement_dates().to_dicts()

    assert found == {
        "tier": "OTC",
        "restatements": 3,
        "silent_restatements": 1,
        "rows_changed_and_moved": 1,
        "rows_changed_silently": 1,
        "rows_touched": 1,
        "rows_added": 1,
        "rows_removed": 1,
        "moved_given_changed": 0.5,
        "changed_given_moved": 0.5,
        "lateness_p50": 7,
        "lateness_p90": 30,
        "lateness_max": 30,
    }
    assert shown(readers.restatement_dates(symbol="BRKB"), "silent_restatements", "rows_touched", "rows_added") == [
        (1, 1, 0)
    ]
    assert readers.restatement_dates(tier="NMS_TIER_1").frame.is_empty()


def test_a_symbol_that_left_one_tier_for_another_moved_and_what_is_not_kept_is_said(source: MemorySource) -> None:
    other = PartitionKey(WEEK, Tier.NMS_TIER_2)
    there = [row("MSFT", "UBSA", 9, tier=Tier.NMS_TIER_2)]
    capture_at(source, DUE, A)
    capture_at(source, DUE, there, key=other)
    capture_at(source, DUE + DAY, [A[0], A[2]])
    capture_at(source, DUE + DAY, [*there, row("BRKB", "SGMT", 100, tier=Tier.NMS_TIER_2)], key=other)
    capture_at(source, DUE + 2 * DAY, [A[0], A[2], row("NEWW", "SGMT", 7)])

    assert shown(readers.restated_symbols(), "symbol", "restatements", "moved_tier", "net_change") == [
        ("BRKB", 2, True, 0.0),
        ("NEWW", 1, False, 7.0),
    ]
    assert readers.restated_symbols().warnings == ()
    last = Capture.objects.filter(partition__tier="OTC").latest("version")
    Capture.objects.filter(pk=last.pk).update(pruned_at=DUE + 3 * DAY)
    [caveat] = readers.restated_symbols().warnings
    assert caveat.code == "pruned"
    assert caveat.text == f"left out, for the rows of a vintage are not kept: {last.capture_id}"


def test_a_profile_says_how_often_was_looked(source: MemorySource) -> None:
    for days in (0, 7, 14, 21, 112):
        capture_at(source, DUE + days * DAY, A)
    capture_at(source, DUE + 112 * DAY + timedelta(hours=1), A)  # twice on one day is no schedule
    with time_machine.travel(DUE + 120 * DAY, tick=False):
        schedule = readers.revision_profile().meta.as_document()["schedule"]
    assert schedule == {"lookback_weeks": 6, "days_between_looks": 7.0, "days_between_later_looks": pytest.approx(91.0)}


def test_of_thirty_weeks_it_is_said_whether_they_grow() -> None:
    assert _bias([Move(0.1, 0.001)] * 29) == ""
    assert _bias([Move(0.1, 0.001)] * 30) == "; on average they grew by 0.1 %"
    assert _bias([Move(0.1, -0.002)] * 30) == "; on average they shrank by 0.2 %"
    assert _bias([Move(0.1, 0.0)] * 30) == ""
