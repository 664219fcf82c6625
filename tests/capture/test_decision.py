"""The decision: each verdict with the words that a person reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.capture.decision import Decision, DecisionKind, decide, opinion
from pipeline.capture.vintage import Vintage
from pipeline.finra.content import content_of
from pipeline.models import Capture
from pipeline.vintages.compare import Changes, Counts
from tests.vintages.frames import frame_of

EARLIER, DAY, LATER = date(2025, 12, 8), date(2025, 12, 15), date(2025, 12, 22)
HELD = Capture(version=1, payload_sha256="payload-a", content_hash="aaaaaaaa-content", last_update_date=DAY)
EMPTY = Capture(version=1, payload_sha256="payload-e", content_hash="eeeeeeee-content", last_update_date=None)
SAME_ROWS = "unchanged: the same rows in other bytes (order or formatting)"
CHANGED = "content changed (aaaaaaaa -> bbbbbbbb)"
NONE_CHANGED = Changes(0, 0, 0, 1000, pl.DataFrame())


def offer(
    content_hash: str = "bbbbbbbb-content",
    rows: int = 3,
    updated: date | None = DAY,
    in_common: Changes | None = None,
) -> Vintage:
    """A vintage of so many rows, with this hash and this newest date."""
    content = content_of(frame_of([(f"S{n}", "AAAA", "100", 1) for n in range(rows)]), [])
    updates = Counter([updated.isoformat()] if updated else [])
    content = replace(content, updates=updates)
    vars(content)["content_hash"] = content_hash  # where `once` keeps it
    return Vintage(content, None, in_common=in_common)


TABLE = [
    (None, offer(), Decision(DecisionKind.FIRST, "first capture: 3 rows", "unknown")),
    (HELD, offer("aaaaaaaa-content"), Decision(DecisionKind.REPLAY, SAME_ROWS, "equal")),
    (HELD, offer(), Decision(DecisionKind.RESTATEMENT, CHANGED, "equal")),
    (HELD, offer(updated=LATER), Decision(DecisionKind.RESTATEMENT, CHANGED, "newer")),
    (HELD, offer(updated=EARLIER), Decision(DecisionKind.RESTATEMENT, CHANGED, "older")),
    (HELD, offer(rows=5), Decision(DecisionKind.RESTATEMENT, CHANGED, "equal")),
    (EMPTY, offer("eeeeeeee-content", 0, None), Decision(DecisionKind.REPLAY, SAME_ROWS, "unknown")),
    (EMPTY, offer(), Decision(DecisionKind.RESTATEMENT, "content changed (eeeeeeee -> bbbbbbbb)", "unknown")),
]


@pytest.mark.promise(2, 4)
@pytest.mark.parametrize(("held", "offered", "decision"), TABLE)
def test_what_a_payload_is_to_its_partition(held: Capture | None, offered: Vintage, decision: Decision) -> None:
    assert decide(held, offered, force=False) == decision


@pytest.mark.promise(2)
def test_what_differs_only_where_one_source_is_blank_is_unchanged() -> None:
    decision = decide(HELD, offer(in_common=NONE_CHANGED), force=False)
    assert decision.kind is DecisionKind.REPLAY
    assert decision.reason == (
        "unchanged: the same rows in the columns that both sources have; only productTypeCode, firmCRDNumber and "
        "totalNotionalSum, which FINRA's web file lacks, differ (force it to take what is offered)"
    )


def test_a_restatement_from_another_source_counts_what_both_have() -> None:
    some = Changes(added=2, changed=1200, removed=5, unchanged=0, rows=pl.DataFrame())
    decision = decide(HELD, offer(in_common=some), force=False)
    said = "from a source with other columns: 1,205 rows differ in those that both have"
    assert (decision.kind, decision.reason) == (DecisionKind.RESTATEMENT, f"{CHANGED}, {said}")


@pytest.mark.parametrize(
    ("held", "offered", "reason"),
    [
        (None, offer(), "forced; first capture: 3 rows"),
        (None, offer(rows=0), "forced; first capture: 0 rows"),
        (HELD, offer(), f"forced; {CHANGED}"),
        (HELD, offer(rows=0), f"forced; {CHANGED}"),
        (HELD, offer("aaaaaaaa-content"), "forced; content the same (aaaaaaaa)"),
    ],
)
def test_force_overrules_every_hash_and_every_refusal(held: Capture | None, offered: Vintage, reason: str) -> None:
    decision = decide(held, offered, force=True)
    assert (decision.kind, decision.reason) == (DecisionKind.FORCED, reason)


def test_a_refusal_keeps_what_last_update_dates_say() -> None:
    decision = decide(HELD, offer(updated=LATER), force=False)
    assert decision.refused("no rows") == Decision(DecisionKind.REFUSED, "no rows", "newer")


@pytest.mark.parametrize(
    ("held", "offered", "said"),
    [
        (DAY, LATER, "newer"),
        (DAY, DAY, "equal"),
        (DAY, EARLIER, "older"),
        (None, DAY, "unknown"),
        (DAY, None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_last_update_dates_are_a_second_opinion(held: date | None, offered: date | None, said: str) -> None:
    assert opinion(held, offered) == said


days = st.none() | st.sampled_from([EARLIER, DAY, LATER])


@given(days, days, st.sampled_from(["a", "b"]), st.integers(0, 2))
def test_last_update_dates_never_overrule_a_hash(
    before: date | None, after: date | None, content: str, rows: int
) -> None:
    def kind(held_day: date | None, offered_day: date | None) -> DecisionKind:
        held = Capture(content_hash="a", last_update_date=held_day)
        return decide(held, offer(content, rows, offered_day), force=False).kind

    assert kind(before, after) is kind(None, None)


def test_the_reason_is_completed_with_the_counts() -> None:
    counts = Counts(1200, 35, 2, 0)
    told = "+1,200 rows, 35 changed, 2 gone; lastUpdateDate newer"
    assert decide(HELD, offer(updated=LATER), force=False).sentence(counts) == f"{CHANGED}: {told}"
    assert decide(HELD, offer(updated=LATER), force=True).sentence(counts) == f"forced; {CHANGED}: {told}"
    assert decide(None, offer(), force=False).sentence(counts) == "first capture: 3 rows"
