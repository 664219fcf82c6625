"""Looking through stored rows: by symbol over the weeks, or one vintage from its start, a page at a time.

The table may hold 50 million row versions and has one index, its key (partition, security, venue, ...). Each question
here starts from partitions, goes on from where the page before ended, and counts nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Q, QuerySet

from pipeline import row_versions as vintages
from pipeline.calendar import PartitionKey
from pipeline.models import Capture, Partition, RowVersion, Security, Venue

PAGE = 100
PARTITIONS_A_PAGE = 18  # six weeks of three tiers
MOST_OF_A_SYMBOL = 1000
MOST_SECURITIES, MOST_VENUES = 10, 50

Place = tuple[int, int, int, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is looked for. `instant` None asks for the latest rows; `place` is where the page before ended.

    `capture` asks for one vintage, whatever the week and the tier; `before` for weeks older than that.
    """

    symbol: str = ""
    venue: str = ""
    week_ending: date | None = None
    tier: str = ""
    instant: datetime | None = None
    capture: Capture | None = None
    place: Place | None = None
    before: date | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A stored row in the vintage that it was asked of."""

    row: RowVersion
    capture: Capture


@dataclass(frozen=True, slots=True)
class Page:
    """What was found; where the next page starts, or before which week older ones go on. `note` says what was left out."""

    rows: list[Row] = field(default_factory=list)
    captures: list[Capture] = field(default_factory=list)
    next_place: Place | None = None
    older: date | None = None
    note: str = ""


def find(question: Question) -> Page:
    """The rows of a question: of a symbol over the weeks, else of one vintage; NoSuchVintage where it was pruned."""
    if question.symbol and question.capture is None:
        return _over_weeks(question)
    capture = question.capture or _vintage(question)
    return _of_vintage(question, capture) if capture else Page(note="nothing is captured there yet")


def _of_vintage(question: Question, capture: Capture) -> Page:
    """A page of one vintage, in the order of the key."""
    rows = vintages.of_capture(capture).filter(_wanted(question))
    if question.place is not None:
        rows = rows.filter(pk__gt=question.place)
    found = list(rows.order_by("pk")[: PAGE + 1])
    more = len(found) > PAGE
    page = [Row(row, capture) for row in found[:PAGE]]
    return Page(page, [capture], place_of(page[-1].row) if more else None)


def place_of(row: RowVersion) -> Place:
    """Where a row stands in the order of the key."""
    return (row.partition_id, row.security_id, row.venue_id, row.product_type, row.first_version)


def _over_weeks(question: Question) -> Page:
    """A symbol's rows in the newest partitions asked for: newest week first, then the most shares first."""
    shown = list(_partitions(question)[: PARTITIONS_A_PAGE + 1])
    older = _cut_to_whole_weeks(shown)
    captures = {capture.partition_id: capture for capture in _captures(shown, question.instant)}
    wanted = RowVersion.objects.filter(_wanted(question), partition__in=captures.keys())
    held = list(wanted.select_related("security", "venue").order_by("pk")[: MOST_OF_A_SYMBOL + 1])
    rows = [Row(row, capture) for row in held[:MOST_OF_A_SYMBOL] if _holds(row, capture := captures[row.partition_id])]
    rows.sort(key=_newest_and_largest_first)
    return Page(rows, list(captures.values()), None, older, _left_out(len(held), captures.values()))


def _newest_and_largest_first(found: Row) -> tuple[int, str, Decimal]:
    partition = found.capture.partition
    return -partition.week_ending.toordinal(), partition.tier, -Decimal(found.row.shares or 0)


def _left_out(read: int, captures: Iterable[Capture]) -> str:
    """What the rows shown do not have, and why."""
    pruned = [str(capture) for capture in captures if capture.pruned_at is not None]
    told = [f"retention has removed the rows of {', '.join(pruned)}"] if pruned else []
    if read > MOST_OF_A_SYMBOL:
        told.append(f"only the first {MOST_OF_A_SYMBOL:,} row versions were read: narrow the search")
    return "; ".join(told)


def _cut_to_whole_weeks(shown: list[Partition]) -> date | None:
    """Take away the week that does not fit whole; the oldest week left, when older ones go on."""
    if len(shown) <= PARTITIONS_A_PAGE:
        return None
    oldest = shown[-1].week_ending
    while shown[-1].week_ending == oldest:
        shown.pop()
    return shown[-1].week_ending


def _holds(row: RowVersion, capture: Capture) -> bool:
    """Whether a row version holds in a vintage of its partition whose rows are stored."""
    ends = row.last_version is None or row.last_version >= capture.version
    return capture.pruned_at is None and row.first_version <= capture.version and ends


def _partitions(question: Question) -> QuerySet[Partition]:
    captured = Partition.objects.filter(latest__isnull=False).order_by("-week_ending", "tier")
    if question.week_ending:
        captured = captured.filter(week_ending=question.week_ending)
    if question.tier:
        captured = captured.filter(tier=question.tier)
    if question.before:
        captured = captured.filter(week_ending__lt=question.before)
    return captured


def _vintage(question: Question) -> Capture | None:
    """The vintage asked for, or of the newest partition that fits."""
    partition = _partitions(question).first()
    captures = _captures([partition], question.instant) if partition else []
    return captures[0] if captures else None


def _captures(partitions: Collection[Partition], instant: datetime | None) -> list[Capture]:
    """The newest normalized capture of each partition, or that of an instant."""
    if instant is not None:
        keys: list[PartitionKey] = [partition.key for partition in partitions]
        return vintages.captures_as_of(instant, keys)
    newest = Capture.objects.filter(pk__in=[partition.latest_id for partition in partitions])
    return list(newest.select_related("partition"))


def _wanted(question: Question) -> Q:
    """The condition on security and venue, by their ids."""
    condition = Q()
    if question.symbol:
        condition &= Q(security__in=securities(question.symbol))
    if question.venue:
        condition &= Q(venue__in=venues(question.venue))
    return condition


def securities(symbol: str) -> list[int]:
    """The securities of a symbol, as written or in capitals; failing that, the first that start so."""
    exact = Security.objects.filter(symbol__in={symbol, symbol.upper()}).values_list("pk", flat=True)
    alike = Security.objects.filter(symbol__startswith=symbol.upper()).order_by("symbol").values_list("pk", flat=True)
    return list(exact[:MOST_SECURITIES]) or list(alike[:MOST_SECURITIES])


def venues(text: str) -> list[int]:
    """The venues of an MPID, as written or in capitals; failing that, those whose name holds the text."""
    exact = Venue.objects.filter(mpid__in={text, text.upper()}).values_list("pk", flat=True)
    named = Venue.objects.filter(name__icontains=text).order_by("name").values_list("pk", flat=True)
    return list(exact[:MOST_VENUES]) or list(named[:MOST_VENUES])
