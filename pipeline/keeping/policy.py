"""Which captures of a partition a policy prunes, and why it keeps the others. Pure: nothing is read or written.

A capture's age counts from the instant at which the next one superseded it: with 730 days, each as-of question about the
last 730 days keeps its answer. Guards come first, whatever the policy says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from pipeline.finra.calendar import MARKET_ZONE

LEAST_DAYS = 35  # the weeks that FINRA restates most are never pruned


class BadPolicy(ValueError):
    """The policy makes no sense; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy prunes captures superseded for `older_than` days, less those that a keep rule names.

    Rules count within a partition: the newest N, the first, the last of each of the newest N months (years) that have any,
    by New York's calendar. `payloads` prunes the payloads as well; `snapshots` lets superseded snapshots go with captures.
    """

    older_than: int
    keep_last: int = 1
    keep_first: bool = False
    keep_monthly: int = 0
    keep_yearly: int = 0
    payloads: bool = False
    snapshots: bool = True

    def __post_init__(self) -> None:
        """BadPolicy for numbers out of bounds."""
        if self.older_than < LEAST_DAYS:
            raise BadPolicy(f"captures younger than {LEAST_DAYS} days are never pruned: older than {self.older_than}?")
        if self.keep_last < 1 or self.keep_monthly < 0 or self.keep_yearly < 0:
            raise BadPolicy("the newest capture is always kept, and no rule keeps fewer than none")

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Policy:
        """The policy in a plan or in a schedule's row; BadPolicy where it is none."""
        known = {field.name: bool if field.type == "bool" else int for field in fields(cls)}
        if unknown := sorted(stored.keys() - known.keys()):
            raise BadPolicy(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
        if wrong := [name for name, value in stored.items() if type(value) is not known[name]]:
            raise BadPolicy(f"{wrong[0]} is {stored[wrong[0]]!r}; it must be {_KINDS[known[wrong[0]]]}")
        if "older_than" not in stored:
            raise BadPolicy('say how old: {"older_than": 730}')
        return cls(**stored)

    def stored(self) -> dict[str, Any]:
        """The policy for a plan in the ledger."""
        return asdict(self)

    def sentence(self) -> str:
        """The policy in words."""
        keeps = [
            "the newest" if self.keep_last == 1 else f"the newest {self.keep_last}",
            *(["the first"] if self.keep_first else []),
            *([f"the last of each of {self.keep_monthly} months"] if self.keep_monthly else []),
            *([f"the last of each of {self.keep_yearly} years"] if self.keep_yearly else []),
        ]
        what = "vintage files and payloads" if self.payloads else "vintage files"
        kept = "" if self.snapshots else "; no snapshot goes"
        return f"{what} of captures superseded for {self.older_than} days; kept are {', '.join(keeps)}{kept}"


_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number"}


@dataclass(frozen=True, slots=True)
class Vintage:
    """The facts of one capture. `guards` are the reasons, a sentence each, for which it is kept in any case.

    `superseded_at` is None for the newest; `known_since` is None while its rows are not stored.
    """

    capture: int
    version: int
    known_since: datetime | None
    superseded_at: datetime | None
    guards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a capture, and its reason."""

    capture: int
    is_pruned: bool
    reason: str


def decide(vintages: Sequence[Vintage], policy: Policy, now: datetime) -> list[Decision]:
    """A decision on each capture of one partition; `vintages` are all of its captures, oldest first."""
    rules = _kept_by_rule(vintages, policy)
    return [_decide(vintage, rules, policy, now) for vintage in vintages]


def _decide(vintage: Vintage, rules: Mapping[int, str], policy: Policy, now: datetime) -> Decision:
    if vintage.guards:
        return Decision(vintage.capture, is_pruned=False, reason="; ".join(vintage.guards))
    if vintage.known_since is None or vintage.superseded_at is None:
        return Decision(vintage.capture, is_pruned=False, reason="nothing has superseded it")
    if vintage.capture in rules:
        return Decision(vintage.capture, is_pruned=False, reason=rules[vintage.capture])
    age = now - vintage.superseded_at
    if age < timedelta(days=policy.older_than):
        told = f"superseded {age.days} days ago, less than {policy.older_than}"
        return Decision(vintage.capture, is_pruned=False, reason=told)
    return Decision(vintage.capture, is_pruned=True, reason=f"superseded {age.days} days ago, and no rule keeps it")


def _kept_by_rule(vintages: Sequence[Vintage], policy: Policy) -> dict[int, str]:
    """The captures that a rule keeps, each with the first such rule."""
    stored = [vintage for vintage in vintages if vintage.known_since is not None]
    named = [
        *((one, f"among the newest {policy.keep_last}") for one in stored[-policy.keep_last :]),
        *((one, "the first") for one in stored[:1] if policy.keep_first),
        *((one, f"the last of {period}") for one, period in _last_of(stored, "%Y-%m", policy.keep_monthly)),
        *((one, f"the last of {period}") for one, period in _last_of(stored, "%Y", policy.keep_yearly)),
    ]
    return {one.capture: why for one, why in reversed(named)}


def _last_of(stored: Iterable[Vintage], period: str, number: int) -> Iterator[tuple[Vintage, str]]:
    """The last capture of each of the newest `number` periods that have one."""
    newest: dict[str, Vintage] = {}
    for vintage in stored:
        if vintage.known_since is not None:
            newest[vintage.known_since.astimezone(MARKET_ZONE).strftime(period)] = vintage
    for name in sorted(newest, reverse=True)[:number]:
        yield newest[name], name
