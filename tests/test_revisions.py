"""The decision: each verdict with the words that a person reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.revisions import Decision, Held, Offered, Verdict, decide, opinion

EARLIER, DAY, LATER = date(2025, 12, 8), date(2025, 12, 15), date(2025, 12, 22)
HELD = Held("payload-a", "aaaaaaaa-content", DAY)
EMPTY = Held("payload-e", "eeeeeeee-content", None)
SAME_BYTES = "unchanged: the same bytes as captured"
SAME_ROWS = "unchanged: the same rows in other bytes (order or formatting)"
CHANGED = "content changed (aaaaaaaa -> bbbbbbbb)"


def offer(
    payload: str = "payload-b", content: str = "bbbbbbbb-content", rows: int = 1000, updated: date | None = DAY
) -> Offered:
    return Offered(payload, content, rows, updated)


def decided(held: Held | None, offered: Offered, *, force: bool = False) -> Decision:
    return decide(held, offered, force=force)


TABLE = [
    (None, offer(), Decision(Verdict.FIRST, "first capture: 1,000 rows", "unknown")),
    (HELD, offer("payload-a", "aaaaaaaa-content"), Decision(Verdict.REPLAY, SAME_BYTES, "unknown")),
    (HELD, offer("payload-b", "aaaaaaaa-content"), Decision(Verdict.REPLAY, SAME_ROWS, "equal")),
    (HELD, offer(), Decision(Verdict.RESTATEMENT, CHANGED, "equal")),
    (HELD, offer(updated=LATER), Decision(Verdict.RESTATEMENT, CHANGED, "newer")),
    (HELD, offer(updated=EARLIER), Decision(Verdict.RESTATEMENT, CHANGED, "older")),
    (HELD, offer(rows=5000), Decision(Verdict.RESTATEMENT, CHANGED, "equal")),
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


def test_a_refusal_keeps_what_last_update_dates_say() -> None:
    assert decided(HELD, offer(updated=LATER)).refused("no rows") == Decision(Verdict.REFUSED, "no rows", "newer")


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
        return decided(Held("payload-a", "a", held_day), Offered(payload, content, rows, offered_day)).verdict

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
