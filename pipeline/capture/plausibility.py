"""Payloads that FINRA cannot have published for a week: one function per case, with its message. Pure: no database.

FINRA restates few rows (3 of 167,600 where it was counted), publishes each week once, and a week resembles its neighbours
(finra.md; docs/plausibility.md has the table). A case is refused, or captured and told: then the week is not READY until
somebody has looked. The thresholds come from the settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from pipeline.finra.calendar import (
    SLIP,
    PartitionKey,
    due_date,
    may_be_published_on,
    week_ending_from_update,
)
from pipeline.finra.content import Content
from pipeline.finra.payloads import PartName
from pipeline.finra.rows import ATS, NON_ATS
from pipeline.finra.sources.files.file_names import file_name, is_named_for
from pipeline.vintages.compare import MOVED, ChangeKind, Changes
from pipeline.vintages.measures import SUM

ALWAYS_ALLOWED = 1  # rows: the smallest restatement there is, whatever share of a tiny partition it is
SHARES_TO_ROWS = 2  # how much larger a share of the volume than of the rows may be restated: some rows are large
HANDFUL = 100  # rows, of which FINRA has thousands: of fewer, one may be most of the volume, and some be in two tiers
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


def in_all(sizes: Collection[Size]) -> Size:
    """How much all kinds have together."""
    return Size(sum(size.rows for size in sizes), sum((size.shares for size in sizes), Decimal(0)))


@dataclass(frozen=True, slots=True)
class Offer:
    """A payload for a partition: how it reads, and the names of its files (empty where it is made of none)."""

    key: PartitionKey
    content: Content
    files: tuple[str, ...]

    @property
    def rows(self) -> dict[PartName, int]:
        """How many rows it has of each venue kind; only kinds that it has."""
        non_ats, all_rows = self.content.rows_non_ats, self.content.rows_kept
        found = {PartName.ATS: all_rows - non_ats, PartName.NON_ATS: non_ats}
        return {part: rows for part, rows in found.items() if rows}

    def updates(self, parts: Collection[PartName]) -> Counter[date]:
        """The lastUpdateDates of the rows of these kinds."""
        kinds = [VENUE_KINDS[part] for part in parts]
        of_kinds = self.content.frame.filter(pl.col("venue_kind").is_in(kinds))
        return Counter(dict(of_kinds["last_update_date"].value_counts().iter_rows()))

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
    """How many rows of one kind a payload changes, adds and removes, and how many shares that moves, up or down.

    `held` is how much was there before.
    """

    held: Size
    changed: int
    added: int
    removed: int
    moved: Decimal

    @property
    def total(self) -> int:
        """All rows concerned."""
        return self.changed + self.added + self.removed

    def __str__(self) -> str:
        return f"{self.changed:,} changed, +{self.added:,}, {self.removed:,} gone"


@dataclass(frozen=True, slots=True)
class Again:
    """Another captured partition, and how many of the rows offered, of each venue kind, are the same there."""

    key: PartitionKey
    same: Mapping[PartName, int]

    def named_for(self, key: PartitionKey) -> str:
        """The partition, for a person who brings another one."""
        week = f"the week ending {self.key.week_ending}"
        return week if self.key.tier is key.tier else f"{self.key.tier} of {week}"


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
        if part not in offer.rows:
            beside = f" beside {offer.title}" if offer.files else f" in {offer.title}"
            missing = f"{offer.file(part)} is missing{beside}: no {part.kind} rows, and {why}"
            if any(read.name is part for read in offer.content.parts):
                missing = f"{offer.file(part)} has no row that can be kept: no {part.kind} rows, and {why}"
            return Refusal(f"{missing}; bring both; {FORCE}")
    return None


def dates_of_another_week(offer: Offer, parts: Collection[PartName], today: date, limit: float) -> Refusal | None:
    """Halves of a file that come for the first time, of whose rows more than a restatement touches are dated otherwise.

    FINRA dates a row with the day it was published, or restated later: a day of the week's, and none to come. The API's
    rows name their week themselves.
    """

    def is_outside(day: date) -> bool:
        return day > today or not may_be_published_on(offer.key, day)

    if not offer.content.parts or not any(is_outside(date.fromisoformat(day)) for day in offer.content.updates):
        return None
    misdated = []
    for part in parts:
        updates = offer.updates([part])
        if sum(rows for day, rows in updates.items() if is_outside(day)) > limit * updates.total():
            misdated.append(part)
    return _misdated(offer, misdated, today) if misdated else None


def _misdated(offer: Offer, parts: Collection[PartName], today: date) -> Refusal:
    key, updates = offer.key, offer.updates(parts)
    outside = {day: rows for day, rows in updates.items() if day > today or not may_be_published_on(key, day)}
    day = max(outside, key=lambda each: (outside[each], each))
    other = week_ending_from_update(key.tier, day)
    speaks = f"the week ending {other}" if other and other != key.week_ending else "no week"
    due = due_date(key.tier, key.week_ending)
    published = f"{key.week_ending} was published from {due} to {due + SLIP}"
    return Refusal(
        f"the dates of {' and '.join(map(offer.file, parts))} speak of {speaks}: {outside[day]:,} of {updates.total():,} "
        f"rows were last updated on {day}, and {f'today is {today}' if day > today else published}; check the file's name "
        f"and bring that of {key.week_ending}; {FORCE}"
    )


def week_again(offer: Offer, others: Iterable[Again], limit: float) -> Refusal | None:
    """As large a share of the rows as `limit`, or more, in all or of one venue kind, is the same in another partition."""
    for other in others:
        if other.key.tier is not offer.key.tier and sum(other.same.values()) < HANDFUL:
            continue
        by_kind = [(f"{part.kind} rows", other.same.get(part, 0), rows) for part, rows in offer.rows.items()]
        for kind, same, rows in [("rows", sum(other.same.values()), offer.content.rows_kept), *by_kind]:
            few = 0 if kind == "rows" else ALWAYS_ALLOWED
            if same > few and same >= limit * rows:
                return Refusal(
                    f"this is {other.named_for(offer.key)} again: {same:,} of {rows:,} {kind} ({same / rows:.0%}) of "
                    f"{offer.title} are the same there in key, shares and trades; bring the week ending "
                    f"{offer.key.week_ending}; {FORCE}"
                )
    return None


def restates_too_much(offer: Offer, changes: Mapping[str, Change], limit: float) -> Refusal | None:
    """More of the rows held change, come and go, or more of the shares move, than a restatement touches.

    In all, or of one venue kind. `limit` is that of the rows.
    """
    of_shares = limit * SHARES_TO_ROWS
    for kind, change in changes.items():
        if change.total > max(limit * change.held.rows, ALWAYS_ALLOWED):
            share = f"restates {change.total / change.held.rows:.0%} of the {change.held.rows:,} {kind}rows held"
            return Refusal(f"{share}, more than the {limit * 100:g}% allowed: {change}; check {offer.title}; {FORCE}")
        if change.held.rows >= HANDFUL and change.moved > Decimal(of_shares) * change.held.shares:
            moves = f"moves {change.moved:,.0f} shares where {change.held.shares:,.0f} {kind}shares are held"
            return Refusal(
                f"{moves}, more than the {of_shares * 100:g}% allowed: {change}; check {offer.title}; {FORCE}"
            )
    return None


def changes_by_kind(changes: Changes, sizes: Sizes) -> dict[str, Change]:
    """Count the changes to the current rows, in all ("") and of each kind ("ATS ", "non-ATS ").

    A kind of which nothing is held is no matter of restatement: its half was missing, and comes.
    """
    counted = changes.rows.group_by("venue_kind", "kind").agg(pl.len(), MOVED.cast(SUM).sum().alias("moved"))
    found = {(venue_kind, kind): (rows, moved) for venue_kind, kind, rows, moved in counted.iter_rows()}

    def of_kind(part: PartName, held: Size) -> Change:
        of_part = {kind: found.get((VENUE_KINDS[part], kind), (0, Decimal(0))) for kind in ChangeKind}
        return Change(
            held=held,
            changed=of_part[ChangeKind.CHANGED][0],
            added=of_part[ChangeKind.ADDED][0],
            removed=of_part[ChangeKind.REMOVED][0],
            moved=sum((moved for _, moved in of_part.values()), Decimal(0)),
        )

    by_kind = {part: of_kind(part, size) for part, size in sizes.items()}
    of_all = Change(
        held=in_all(sizes.values()),
        changed=sum(change.changed for change in by_kind.values()),
        added=sum(change.added for change in by_kind.values()),
        removed=sum(change.removed for change in by_kind.values()),
        moved=sum((change.moved for change in by_kind.values()), Decimal(0)),
    )
    return {"": of_all} | {f"{part.kind} ": change for part, change in by_kind.items()}
