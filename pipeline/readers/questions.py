"""The question that keywords ask: which weeks, tiers, securities and venues, and which vintage of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import cast

from pipeline.finra.calendar import CalendarError, Tier, market_today
from pipeline.readers.errors import ErrorKind, Facts, ReadersError
from pipeline.readers.keywords import FridaysAsked, RowsAsked
from pipeline.readers.positions import reached
from pipeline.readers.selectors import LATEST, Clock, Selector, SelectorKind
from pipeline.readers.values import age, choice, count, day, friday, fridays, instant, invalid, not_among, text, texts

ALL = "ALL"  # as tier: all tiers in one figure; as venue_kind: both kinds
EVERY_WEEK = "all"


class VenueKinds(StrEnum):
    """Which rows: of alternative trading systems, of firms that trade without one, or of both."""

    ATS = "ATS"
    NON_ATS = "NON_ATS"
    ALL = "ALL"


class Vintage(StrEnum):
    """A vintage by its name."""

    LATEST = "latest"
    FIRST = "first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weeks:
    """The weeks asked for: those listed, or the last so many that are due, or every captured one; else the newest."""

    listed: tuple[date, ...] = ()
    last: int | None = None
    every: bool = False
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A venue by what identifies it: the MPIDs of ATSs, the CRD number or the name of a firm. None asks for any."""

    mpids: tuple[str, ...] = ()
    crd: str | None = None
    name: str | None = None

    @property
    def is_asked(self) -> bool:
        """Whether a venue is named: an empty MPID or CRD number is that of many firms."""
        return any(self.mpids) or bool(self.crd) or bool(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, checked. `over_all` asks for figures over all tiers; `on_day` decides which weeks are due."""

    weeks: Weeks = field(default_factory=Weeks)
    tiers: tuple[Tier, ...] = tuple(Tier)
    over_all: bool = False
    venue_kind: VenueKinds = VenueKinds.ALL
    symbols: tuple[str, ...] = ()
    issue_name: str | None = None
    venue: Venue = field(default_factory=Venue)
    selector: Selector = LATEST
    on_day: date

    @property
    def names_one_partition(self) -> bool:
        """Whether one week and one tier are asked for by name: then what is lacking is an error."""
        return len(self.weeks.listed) == 1 and len(self.tiers) == 1 and not self.over_all


def question_of(keywords: FridaysAsked) -> Question:
    """The question that keywords ask, whatever else a dataset has beside them. ReadersError for what cannot be."""
    asked = cast(RowsAsked, keywords)
    selector = _selector(asked)
    tiers, over_all = _tiers(asked.get("tier"))
    on_day = day("on_day", asked["on_day"]) if asked.get("on_day") else _day_of(selector)
    return Question(
        weeks=weeks_of(asked),
        tiers=tiers,
        over_all=over_all,
        venue_kind=choice("venue_kind", asked.get("venue_kind") or VenueKinds.ALL, VenueKinds),
        symbols=texts("symbol", asked.get("symbol"), split=False),
        issue_name=text("issue_name", asked.get("issue_name")),
        venue=_venue(asked),
        selector=selector,
        on_day=on_day,
    )


def _venue(asked: RowsAsked) -> Venue:
    crd, name = text("crd", asked.get("crd")), text("venue_name", asked.get("venue_name"))
    return Venue(mpids=texts("mpid", asked.get("mpid")), crd=crd, name=name)


def weeks_of(asked: FridaysAsked) -> Weeks:
    """The weeks that keywords ask for, given in one way of three."""
    ways = [name for name in ("week_ending", "weeks") if asked.get(name) is not None]
    ways += ["from_week"] if asked.get("from_week") is not None or asked.get("to_week") is not None else []
    if len(ways) > 1:
        raise ReadersError(
            ErrorKind.SELECTOR_CONFLICT, f"{' and '.join(ways)} both say which weeks: give one of them", ways[1]
        )
    if asked.get("week_ending") is not None:
        return Weeks(listed=fridays("week_ending", asked["week_ending"]))
    if asked.get("weeks") is not None:
        return _last(asked["weeks"])
    return _range(asked) if ways else Weeks()


def _last(weeks: int | str) -> Weeks:
    return Weeks(every=True) if weeks == EVERY_WEEK else Weeks(last=count("weeks", weeks, least=1))


def _range(asked: FridaysAsked) -> Weeks:
    since = friday("from_week", asked["from_week"]) if asked.get("from_week") is not None else None
    until = friday("to_week", asked["to_week"]) if asked.get("to_week") is not None else None
    if since and until and since > until:
        raise invalid("from_week", f"from_week {since} is after to_week {until}")
    return Weeks(since=since, until=until)


def _selector(asked: RowsAsked) -> Selector:
    """The one selector that is given, by the clock that is."""
    selector = _vintage(asked)
    if choice("clock", asked.get("clock") or Clock.CAPTURED, Clock) is Clock.CAPTURED:
        return selector
    if selector.kind is not SelectorKind.AS_OF:
        raise invalid("clock", "clock=published says what as_of means: give as_of, a day or an instant")
    return replace(selector, kind=SelectorKind.PUBLISHED)


def _vintage(asked: RowsAsked) -> Selector:
    """The one selector that is given."""
    given = [name for name in ("as_of", "capture", "vintage", "at_age_days", "position") if asked.get(name) is not None]
    if len(given) > 1:
        raise ReadersError(
            ErrorKind.SELECTOR_CONFLICT,
            f"{' and '.join(given)} each choose a vintage: give one of them",
            given[1],
            Facts(allowed=tuple(given)),
        )
    return _read_selector(asked, given[0]) if given else LATEST


def _read_selector(asked: RowsAsked, name: str) -> Selector:
    if name == "as_of":
        return Selector(kind=SelectorKind.AS_OF, as_of=instant("as_of", asked["as_of"]))
    if name == "capture":
        return Selector(kind=SelectorKind.CAPTURE, capture=asked["capture"])
    if name == "at_age_days":
        return Selector(kind=SelectorKind.AT_AGE, at_age_days=age("at_age_days", asked["at_age_days"]))
    if name == "position":
        return Selector(kind=SelectorKind.POSITION, position=reached("position", asked["position"]))
    vintage = choice("vintage", asked["vintage"], Vintage)
    return Selector(kind=SelectorKind.FIRST) if vintage is Vintage.FIRST else LATEST


def _day_of(selector: Selector) -> date:
    """The day that decides what is due: that of the instant asked for."""
    return market_today(selector.as_of) if selector.as_of else market_today()


def _tiers(value: str | Sequence[str] | None) -> tuple[tuple[Tier, ...], bool]:
    """The tiers asked for, in order; and whether figures over all of them are."""
    named = texts("tier", value)
    if named == (ALL,):
        return tuple(Tier), True
    try:
        return tuple(sorted({Tier.parse(one) for one in named})) or tuple(Tier), False
    except CalendarError as error:
        raise not_among("tier", ",".join(named), (*(tier.value for tier in Tier), ALL), str(error)) from None
