"""The decision: each verdict with the words that a person reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.revisions import Decision, Held, Offered, Verdict, decide, opinion

EARLIER, DAY, LATER = date(2025, 12, 8), date(2025, 12, 15), date(2025, 12, 22)
HELD = Held("payload-a", "aaaaaaaa-content", 1000, DAY)
EMPTY = Held("payload-e", "eeeeeeee-content", 0, None)
NO_ROWS = "the payload has no rows: that means nothing published, never an empty week"
SAME_BYTES = "unchanged: the same bytes as captured"
SAME_ROWS = "unchanged: the same rows in other bytes (order or formatting)"
CHANGED = "content changed (aaaaaaaa -> bbbbbbbb)"


def offer(
    payload: str = "payload-b", content: str = "bbbbbbbb-content", rows: int = 1000, updated: date | None = DAY
) -> Offered:
    return Offered(payload, content, rows, updated)


def decided(held: Held | None, offered: Offered, *, force: bool = False, limit: float = 0.2) -> Decision:
    return decide(held, offered, force=force, max_shrink_share=limit)


TABLE = [
    (None, offer(), Decision(Verdict.FIRST, "first capture: 1,000 rows", "unknown")),
    (None, offer(rows=0, updated=None), Decision(Verdict.REFUSED, NO_ROWS, "unknown")),
    (HELD, offer("payload-a", "aaaaaaaa-content"), Decision(Verdict.REPLAY, SAME_BYTES, "unknown")),
    (HELD, offer("payload-b", "aaaaaaaa-content"), Decision(Verdict.REPLAY, SAME_ROWS, "equal")),
    (HELD, offer(), Decision(Verdict.RESTATEMENT, CHANGED, "equal")),
    (HELD, offer(updated=LATER), Decision(Verdict.RESTATEMENT, CHANGED, "newer")),
    (HELD, offer(updated=EARLIER), Decision(Verdict.RESTATEMENT, CHANGED, "older")),
    (HELD, offer(rows=5000), Decision(Verdict.RESTATEMENT, CHANGED, "equal")),
    (HELD, offer(rows=800), Decision(Verdict.RESTATEMENT, CHANGED, "equal")),
    (
        HELD,
        offer(rows=740, updated=LATER),
        Decision(
            Verdict.REFUSED,
            "lost 26% of its rows, more than the 20% allowed: 1,000 -> 740; if that is right, take it with --force",
            "newer",
        ),
    ),
    (HELD, offer(rows=0, updated=None), Decision(Verdict.REFUSED, NO_ROWS, "unknown")),
    (EMPTY, offer("payload-e", "eeeeeeee-content", 0, None), Decision(Verdict.REPLAY, SAME_BYTES, "unknown")),
    (EMPTY, offer("payload-f", "eeeeeeee-content", 0, None), Decision(Verdict.REPLAY, SAME_ROWS, "unknown")),
    (EMPTY, offer(), Decision(Verdict.RESTATEMENT, "content changed (eeeeeeee -> bbbbbbbb)", "unknown")),
]


@pytest.mark.promise(2, 4)
@pytest.mark.parametrize(("held", "offered", "decision"), TABLE)
def test_what_a_payload_is_to_its_partition(held: Held | None, offered: Offered, decision: Decision) -> None:
    assert decided(held, offered) == decision


@pytest.mark.parametrize(
    ("held", "offered", "reason"),
    [
        (None, offer(), "forced; first capture: 1,000 rows"),
        (None, offer(rows=0), "forced; first capture: 0 rows"),
        (HELD, offer(), f"forced; {CHANGED}"),
        (HELD, offer(rows=1), f"forced; {CHANGED}"),
        (HELD, offer(rows=0), f"forced; {CHANGED}"),
        (HELD, offer("payload-b", "aaaaaaaa-content"), "forced; content the same (aaaaaaaa)"),
        (HELD, offer("payload-a", "aaaaaaaa-content"), "forced; content the same (aaaaaaaa)"),
    ],
)
def test_force_overrules_every_hash_and_every_refusal(held: Held | None, offered: Offered, reason: str) -> None:
    decision = decided(held, offered, force=True)
    assert (decision.verdict, decision.reason) == (Verdict.FORCED, reason)


@pytest.mark.promise(4)
@pytest.mark.parametrize(
    ("rows", "limit", "verdict"),
    [
        (800, 0.2, Verdict.RESTATEMENT),
        (799, 0.2, Verdict.REFUSED),
        (1000, 0.0, Verdict.RESTATEMENT),
        (999, 0.0, Verdict.REFUSED),
        (1, 1.0, Verdict.RESTATEMENT),
        (0, 1.0, Verdict.REFUSED),
    ],
)
def test_a_partition_may_lose_the_allowed_share_and_not_one_row_more(rows: int, limit: float, verdict: Verdict) -> None:
    assert decided(HELD, offer(rows=rows), limit=limit).verdict is verdict


def test_a_limit_below_one_percent_is_told_as_it_is() -> None:
    reason = decided(HELD, offer(rows=900), limit=0.005).reason
    assert reason.startswith("lost 10% of its rows, more than the 0.5% allowed: 1,000 -> 900; ")


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


@given(days, days, st.sampled_from(["payload-a", "payload-b"]), st.sampled_from(["a", "b"]), st.integers(0, 2000))
def test_last_update_dates_never_overrule_a_hash(
    before: date | None, after: date | None, payload: str, content: str, rows: int
) -> None:
    def verdict(held_day: date | None, offered_day: date | None) -> Verdict:
        return decided(Held("payload-a", "a", 1000, held_day), Offered(payload, content, rows, offered_day)).verdict

    assert verdict(before, after) is verdict(None, None)


@dataclass(frozen=True)
class Differences:
    added: int
    changed: int
    removed: int


def test_the_reason_is_completed_with_what_the_store_found() -> None:
    found = Differences(1200, 35, 2)
    told = "+1,200 rows, 35 changed, 2 gone; lastUpdateDate newer"
    assert decided(HELD, offer(updated=LATER)).told(found) == f"{CHANGED}: {told}"
    assert decided(HELD, offer(updated=LATER), force=True).told(found) == f"forced; {CHANGED}: {told}"
    assert decided(None, offer()).told(found) == "first capture: 1,000 rows"
