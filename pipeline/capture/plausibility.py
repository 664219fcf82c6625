"""Payloads that FINRA cannot have published for a week: one function per case, with its message. Pure: no database.

FINRA restates few rows (3 of 167,600 where it was counted), publishes each week once, and a week resembles its neighbours
(finra.md; docs/plausibility.md has the table). A case is refused, or captured and told: then the week is not READY until
somebody has looked. The thresholds come from the settings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import median_high, median_low

from pipeline.finra.calendar import (
    SLIP,
    PartitionKey,
    due_date,
    may_be_published_on,
    trading_days,
    week_ending_from_update,
)
from pipeline.finra.content import Content
from pipeline.finra.payloads import PartName
from pipeline.finra.rows import ATS, NON_ATS
from pipeline.finra.sources.files.file_names import file_name, is_named_for
from pipeline.vintages.compare import ChangeKind, Changes

ALWAYS_ALLOWED = 1  # rows: the smallest restatement there is, whatever share of a tiny partition it is
VENUE_KINDS = {PartName.ATS: ATS, PartName.NON_ATS: NON_ATS}
FORCE = "if it is right all the same, force it"


@dataclass(frozen=True, slots=True)
class Bounds:
    """From which to which share of its neighbours' median a figure is plausible."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low * 100:g}-{self.high * 100:g}%"

    def hold(self, figure: float, typical: float) -> bool:
        """Whether a figure lies within them."""
        return self.low * typical <= figure <= self.high * typical

    def misfits(self, what: str, figure: float, others: list[float]) -> list[str]:
        """A sentence on a figure that is not near the median of others; of an even number, near neither of the two in the
        middle: of two neighbours one may be the odd one.
        """
        middle = (median_low(others), median_high(others))
        if any(self.hold(figure, typical) for typical in middle):
            return []
        ratio = f"{figure / middle[0]:.0%} of" if middle[0] else "far above"
        return [f"{what}, {ratio} the usual (plausible: {self})"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds, as the settings have them; `parts` are expected of every partition."""

    same_share: float
    restated_share: float
    rows: Bounds
    shares: Bounds
    parts: frozenset[PartName]


@dataclass(frozen=True, slots=True)
class Size:
    """How much of one venue kind a capture holds."""

    rows: int
    shares: Decimal


Sizes = Mapping[PartName, Size]  # of the kinds that have rows


@dataclass(frozen=True, slots=True)
class Offer:
    """A payload for a partition: how it reads, and the names of its files (empty where it is made of none)."""

    key: PartitionKey
    content: Content
    files: tuple[str, ...]

    @property
    def kinds(self) -> frozenset[PartName]:
        """The venue kinds of which it has rows."""
        non_ats, all_rows = self.content.rows_non_ats, self.content.rows_kept
        found = {PartName.NON_ATS: non_ats, PartName.ATS: all_rows - non_ats}
        return frozenset(part for part, rows in found.items() if rows)

    def file(self, part: PartName) -> str:
        """The file of a part, as the operator has it or would name it."""
        names = [read.name for read in self.content.parts]
        if part in names and len(names) == len(self.files):
            return self.files[names.index(part)]
        return file_name(self.key, part) if self.is_of_a_folder else f"the {part.kind} file"

    @property
    def is_of_a_folder(self) -> bool:
        """Whether its files have the names that a source folder asks for."""
        return bool(self.files) and all(is_named_for(name, self.key) for name in self.files)

    @property
    def title(self) -> str:
        """The payload, for a person."""
        return " and ".join(self.files) or "the source's answer"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a payload is not captured, and what to do."""

    message: str


@dataclass(frozen=True, slots=True)
class Change:
    """How many rows of one kind a payload changes, adds and removes, and how many were held."""

    held: int
    changed: int
    added: int
    removed: int

    @property
    def total(self) -> int:
        """All rows concerned."""
        return self.changed + self.added + self.removed


@dataclass(frozen=True, slots=True)
class Again:
    """Another captured week of the tier, and how many of the rows offered are the same there."""

    week_ending: date
    same: int


def no_rows(offer: Offer) -> Refusal | None:
    """A payload without rows is no empty week."""
    if offer.content.rows_kept:
        return None
    said = "the payload has no rows: that means nothing published, never an empty week"
    return Refusal(f"{said}; fetch {offer.title} again; {FORCE}")


def truncated(offer: Offer) -> Refusal | None:
    """A part that is a header alone, or whose body ends in the midst of a line."""
    for part in offer.content.parts:
        name = offer.file(part.name)
        if not part.lines:
            return Refusal(f"truncated: {name} has a header and no rows; fetch it again; {FORCE}")
        if part.breaks_off:
            return Refusal(f"truncated: {name} ends in the midst of line {part.lines + 1:,}; fetch it again; {FORCE}")
    return None


def part_missing(offer: Offer, expected: Mapping[PartName, str]) -> Refusal | None:
    """A half, ATS or non-ATS, that is expected and not there; `expected` says of each half why."""
    for part, why in expected.items():
        if part not in offer.kinds:
            beside = f" beside {offer.title}" if offer.files else f" in {offer.title}"
            missing = f"{offer.file(part)} is missing{beside}: no {part.kind} rows, and {why}"
            if any(read.name is part for read in offer.content.parts):
                missing = f"{offer.file(part)} has no row that can be kept: no {part.kind} rows, and {why}"
            return Refusal(f"{missing}; bring both; {FORCE}")
    return None


def dates_of_another_week(offer: Offer, limit: float) -> Refusal | None:
    """A first capture from files of which more rows than a restatement touches are dated outside the week's days.

    FINRA dates a row with the day it was published, or restated later; the API's rows name their week themselves.
    """
    if not offer.content.parts:
        return None
    key, updates = offer.key, offer.content.updates
    outside = {day: rows for day, rows in updates.items() if not may_be_published_on(key, date.fromisoformat(day))}
    if sum(outside.values()) <= limit * offer.content.rows_kept:
        return None
    day = max(outside, key=lambda each: (outside[each], each))
    other = week_ending_from_update(key.tier, date.fromisoformat(day))
    speaks = f"the week ending {other}" if other and other != key.week_ending else "no week"
    due = due_date(key.tier, key.week_ending)
    return Refusal(
        f"the dates of {offer.title} speak of {speaks}: {outside[day]:,} of {offer.content.rows_kept:,} rows were last "
        f"updated on {day}, and {key.week_ending} was published from {due} to {due + SLIP}; check the file's name and "
        f"bring that of {key.week_ending}; {FORCE}"
    )


def week_again(offer: Offer, weeks: Iterable[Again], limit: float) -> Refusal | None:
    """As large a share of rows as `limit`, or more, is the same in another captured week of the tier."""
    for other in weeks:
        if other.same and other.same >= limit * offer.content.rows_kept:
            share = other.same / offer.content.rows_kept
            return Refusal(
                f"this is the week ending {other.week_ending} again: {other.same:,} of {offer.content.rows_kept:,} rows "
                f"({share:.0%}) of {offer.title} are the same there in key, shares and trades; bring the week ending "
                f"{offer.key.week_ending}; {FORCE}"
            )
    return None


def restates_too_much(offer: Offer, changes: Mapping[str, Change], limit: float) -> Refusal | None:
    """More of the rows held change, come and go than a restatement touches, in all or of one venue kind."""
    for kind, change in changes.items():
        if change.total > max(limit * change.held, ALWAYS_ALLOWED):
            return Refusal(
                f"restates {change.total / change.held:.0%} of the {change.held:,} {kind} held, more than the "
                f"{limit * 100:g}% allowed: "
                f"{change.changed:,} changed, +{change.added:,}, {change.removed:,} gone; check {offer.title}; {FORCE}"
            )
    return None


def far_from_neighbours(week: date, sizes: Sizes, neighbours: Mapping[date, Sizes], limits: Limits) -> list[str]:
    """The figures of a capture that are far from the median of the weeks around it.

    Shares are compared per trading day: a holiday week has fewer. Sums over both kinds are compared with weeks of the same
    kinds only, and a kind with weeks that have it.
    """
    found = [f"no {part.kind} rows" for part in most_have(neighbours.values()) if part not in sizes]
    alike = {each: of_each for each, of_each in neighbours.items() if of_each.keys() == sizes.keys()}
    if len(sizes) > 1:
        found += _far("", week, _sum(sizes), {each: _sum(of_each) for each, of_each in alike.items()}, limits)
    for part, size in sizes.items():
        others = {each: of_each[part] for each, of_each in neighbours.items() if part in of_each}
        found += _far(f"{part.kind} ", week, size, others, limits)
    return found


def most_have(neighbours: Collection[Sizes]) -> list[PartName]:
    """The kinds that at least half of the neighbours have."""
    return [part for part in PartName if 2 * sum(part in sizes for sizes in neighbours) >= max(len(neighbours), 1)]


def _far(kind: str, week: date, size: Size, others: Mapping[date, Size], limits: Limits) -> list[str]:
    if not others:
        return []
    rows = [float(other.rows) for other in others.values()]
    daily = [_per_day(each, other) for each, other in others.items()]
    return [
        *limits.rows.misfits(f"{size.rows:,} {kind}rows", size.rows, rows),
        *limits.shares.misfits(f"{size.shares:,.0f} {kind}shares", _per_day(week, size), daily),
    ]


def _per_day(week: date, size: Size) -> float:
    return float(size.shares) / (trading_days(week) or 1)


def _sum(sizes: Sizes) -> Size:
    return Size(sum(size.rows for size in sizes.values()), sum((size.shares for size in sizes.values()), Decimal(0)))


def changes_by_kind(changes: Changes, sizes: Sizes) -> dict[str, Change]:
    """Count the changes to the current rows, in all and of each kind.

    A kind of which nothing is held is no matter of restatement: its half was missing, and comes.
    """
    counted = changes.rows.group_by("venue_kind", "kind").len()
    numbers = {(venue_kind, kind): number for venue_kind, kind, number in counted.iter_rows()}

    def of_kind(part: PartName, size: Size) -> Change:
        changed, added, removed = (
            numbers.get((VENUE_KINDS[part], kind), 0)
            for kind in (ChangeKind.CHANGED, ChangeKind.ADDED, ChangeKind.REMOVED)
        )
        return Change(size.rows, changed, added, removed)

    by_kind = {part: of_kind(part, size) for part, size in sizes.items()}
    in_all = Change(
        held=sum(change.held for change in by_kind.values()),
        changed=sum(change.changed for change in by_kind.values()),
        added=sum(change.added for change in by_kind.values()),
        removed=sum(change.removed for change in by_kind.values()),
    )
    return {"rows": in_all} | {f"{part.kind} rows": change for part, change in by_kind.items()}
