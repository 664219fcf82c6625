"""The policy decides from what it is told: what is pruned, what is kept, and the reason for each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.keeping.policy import BadPolicy, Decision, Policy, Vintage, decide

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def history(*ages: int, guards: dict[int, str] | None = None) -> list[Vintage]:
    """Vintages 1, 2, ... whose rows became known so many days ago."""
    known = [NOW - timedelta(days=age) for age in ages]
    later = [*known[1:], None]
    said = guards or {}
    return [
        Vintage(number, number, at, after, (said[number],) if number in said else ())
        for number, (at, after) in enumerate(zip(known, later, strict=True), 1)
    ]


def pruned(vintages: list[Vintage], **policy: int | bool) -> list[int]:
    of = Policy.read({"older_than": 100, **policy})
    return [decision.capture for decision in decide(vintages, of, NOW) if decision.is_pruned]


def test_age_counts_from_the_successor() -> None:
    assert decide(history(900, 101, 99, 5), Policy(older_than=100), NOW) == [
        Decision(1, is_pruned=True, reason="superseded 101 days ago, and no rule keeps it"),
        Decision(2, is_pruned=False, reason="superseded 99 days ago, less than 100"),
        Decision(3, is_pruned=False, reason="superseded 5 days ago, less than 100"),
        Decision(4, is_pruned=False, reason="nothing has superseded it"),
    ]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"keep_last": 3}, [1, 2, 3]),
        ({"keep_first": True}, [2, 3, 4, 5]),
        ({"keep_yearly": 1}, [1, 2, 3, 4, 5]),
        ({"keep_yearly": 2}, [1, 2, 4, 5]),
        ({"keep_monthly": 2}, [1, 2, 3, 4]),
        ({"keep_first": True, "keep_last": 2, "keep_yearly": 9}, [2, 4]),
    ],
)
def test_each_rule_keeps_what_it_names(policy: dict[str, int | bool], left: list[int]) -> None:
    """Three of 2023, in June, June and August, and three of 2025, in February, March and October."""
    assert pruned(history(1260, 1258, 1200, 660, 620, 400), **policy) == left


def test_a_month_is_one_of_new_york() -> None:
    """At 3:00 UTC on the first of August it is still July there."""
    known = [
        datetime(2025, 7, 31, 12, tzinfo=UTC),
        datetime(2025, 8, 1, 3, tzinfo=UTC),
        datetime(2025, 8, 1, 5, tzinfo=UTC),
    ]
    vintages = [
        Vintage(n, n, at, later) for n, (at, later) in enumerate(zip(known, [*known[1:], None], strict=True), 1)
    ]
    assert pruned(vintages, keep_monthly=2) == [1]


def test_a_guarded_capture_is_kept_whatever_its_age() -> None:
    vintages = history(900, 800, 700, 600, guards={1: "pinned: the quarter", 2: "anomaly 3 (LATE) is open"})
    archived = Vintage(9, 9, None, None)
    reasons = [decision.reason for decision in decide([*vintages, archived], Policy(older_than=100), NOW)]
    assert reasons[:2] == ["pinned: the quarter", "anomaly 3 (LATE) is open"]
    assert reasons[4] == "nothing has superseded it"


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        ({}, "say how old"),
        ({"older_than": 34}, "younger than 35 days are never pruned"),
        ({"older_than": "730"}, "it must be a whole number"),
        ({"older_than": 730, "keep_last": 0}, "the newest capture is always kept"),
        ({"older_than": 730, "payloads": 1}, "it must be true or false"),
        ({"older_than": 730, "keep_weekly": 2}, "unknown: keep_weekly; known are older_than"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(stored: dict[str, object], why: str) -> None:
    with pytest.raises(BadPolicy, match=why):
        Policy.read(stored)


def test_a_policy_is_read_as_it_was_stored() -> None:
    policy = Policy(older_than=730, keep_first=True, keep_monthly=24, payloads=True, snapshots=False)
    assert Policy.read(policy.stored()) == policy
    assert policy.sentence() == (
        "vintage files and payloads of captures superseded for 730 days; kept are the newest, the first, the last of each "
        "of 24 months; no snapshot goes"
    )
