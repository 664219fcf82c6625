"""What is asked: the keywords that all datasets share, read from text or typed values into one frozen question.

The names are those of the API's parameters and of the commands' options. Here alone they are checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypedDict, TypeVar, cast

from django.utils import timezone

from pipeline.finra.calendar import FIRST_WEEK, WEEK, CalendarError, Tier, market_today, read_day, week_start_of
from pipeline.readers.errors import ErrorKind, Facts, ReadersError
from pipeline.readers.selectors import LATEST, Clock, Selector, SelectorKind
from pipeline.vintages import read

ALL = "ALL"  # as tier: all tiers in one figure; as venue_kind: both kinds
EVERY_WEEK = "all"
MOST = 2**31 - 1
OLDEST_DAYS = 36_500
QUANTITY = re.compile(r"\d{1,18}(\.\d{1,6})?", re.ASCII)
WITH_OFFSET = re.compile(r".*(Z|[+-]\d\d:\d\d)", re.ASCII)
N = TypeVar("N", bound=StrEnum)


class VenueKinds(StrEnum):
    """Which rows: of alternative trading systems, of firms that trade without one, or of both."""

    ATS = "ATS"
    NON_ATS = "NON_ATS"
    ALL = "ALL"


class Vintage(StrEnum):
    """A vintage by its name."""

    LATEST = "latest"
    FIRST = "first"


class FridaysAsked(TypedDict, total=False):
    """Which weeks: a list of Fridays, a range with both ends, or the last ones that are due."""

    week_ending: date | str | Sequence[date | str]
    from_week: date | str
    to_week: date | str
    weeks: int | str
    on_day: date | str


class WeeksAsked(FridaysAsked, total=False):
    """Which weeks and tiers."""

    tier: str | Sequence[str]


class VintagesAsked(WeeksAsked, total=False):
    """Which weeks and tiers, and at most one selector."""

    as_of: datetime | date | str
    capture: str
    vintage: str
    at_age_days: int | str
    position: int | str


class KindsAsked(VintagesAsked, total=False):
    """Which of them, and of which kinds of venues."""

    venue_kind: str


class VenuesAsked(KindsAsked, total=False):
    """Which of them, and of which venues."""

    mpid: str | Sequence[str]
    crd: str
    venue_name: str


class SecuritiesAsked(VintagesAsked, total=False):
    """Which of them, and of which securities."""

    symbol: str | Sequence[str]
    issue_name: str


class ClockAsked(TypedDict, total=False):
    """Whose clock `as_of` means."""

    clock: str


class SymbolAsked(SecuritiesAsked, ClockAsked, total=False):
    """Which securities of which vintages, by which clock."""


class Asked(SecuritiesAsked, VenuesAsked, total=False):
    """What rows are asked by: weeks, tiers, securities, venues, and at most one selector."""


class RowsAsked(Asked, ClockAsked, total=False):
    """Which rows of which vintages, by which clock."""


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
        """Whether any venue is named."""
        return bool(self.mpids) or self.crd is not None or self.name is not None


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
    on_day = _day("on_day", asked["on_day"]) if asked.get("on_day") else _day_of(selector)
    return Question(
        weeks=weeks_of(asked),
        tiers=tiers,
        over_all=over_all,
        venue_kind=choice("venue_kind", asked.get("venue_kind") or VenueKinds.ALL, VenueKinds),
        symbols=_texts(asked.get("symbol"), split=False),
        issue_name=asked.get("issue_name"),
        venue=Venue(mpids=_texts(asked.get("mpid")), crd=asked.get("crd"), name=asked.get("venue_name")),
        selector=selector,
        on_day=on_day,
    )


def weeks_of(asked: FridaysAsked) -> Weeks:
    """The weeks that keywords ask for, given in one way of three."""
    ways = [name for name in ("week_ending", "weeks") if asked.get(name) is not None]
    ways += ["from_week"] if asked.get("from_week") is not None or asked.get("to_week") is not None else []
    if len(ways) > 1:
        raise ReadersError(
            ErrorKind.SELECTOR_CONFLICT, f"{' and '.join(ways)} both say which weeks: give one of them", ways[1]
        )
    if asked.get("week_ending") is not None:
        return Weeks(listed=tuple(sorted({friday("week_ending", one) for one in _listed(asked["week_ending"])})))
    if asked.get("weeks") is not None:
        return _last(asked["weeks"])
    return _range(asked) if ways else Weeks()


def _last(weeks: int | str) -> Weeks:
    return Weeks(every=True) if weeks == EVERY_WEEK else Weeks(last=count("weeks", weeks, least=1))


def _range(asked: FridaysAsked) -> Weeks:
    since = friday("from_week", asked["from_week"]) if asked.get("from_week") is not None else None
    until = friday("to_week", asked["to_week"]) if asked.get("to_week") is not None else None
    if since and until and since > until:
        raise _invalid("from_week", f"from_week {since} is after to_week {until}")
    return Weeks(since=since, until=until)


def _selector(asked: RowsAsked) -> Selector:
    """The one selector that is given, by the clock that is."""
    selector = _vintage(asked)
    if choice("clock", asked.get("clock") or Clock.CAPTURED, Clock) is Clock.CAPTURED:
        return selector
    if selector.kind is not SelectorKind.AS_OF:
        raise _invalid("clock", "clock=published says what as_of means: give as_of, a day or an instant")
    return replace(selector, kind=SelectorKind.PUBLISHED)


def _vintage(asked: Asked) -> Selector:
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


def _read_selector(asked: Asked, name: str) -> Selector:
    if name == "as_of":
        return Selector(kind=SelectorKind.AS_OF, as_of=instant("as_of", asked["as_of"]))
    if name == "capture":
        return Selector(kind=SelectorKind.CAPTURE, capture=asked["capture"])
    if name == "at_age_days":
        return Selector(kind=SelectorKind.AT_AGE, at_age_days=age("at_age_days", asked["at_age_days"]))
    if name == "position":
        return Selector(kind=SelectorKind.POSITION, position=count("position", asked["position"]))
    vintage = choice("vintage", asked["vintage"], Vintage)
    return Selector(kind=SelectorKind.FIRST) if vintage is Vintage.FIRST else LATEST


def _day_of(selector: Selector) -> date:
    """The day that decides what is due: that of the instant asked for."""
    return market_today(selector.as_of) if selector.as_of else market_today()


def instant(name: str, value: datetime | date | str) -> datetime:
    """An aware instant: of a day its end in New York. A time of day needs an offset; none may be to come."""
    if isinstance(value, str):
        value = value.strip().replace(" ", "+") if "T" in value else value.strip()  # "+" in a URL is a space
        if read_day(value) is None and not WITH_OFFSET.fullmatch(value):
            raise _invalid(
                name, f"{value!r} is no instant with an offset, 2026-11-18T00:00:00Z, and no day, 2026-11-18"
            )
    try:
        found = read.instant_of(value)
    except CalendarError as error:
        raise _invalid(name, str(error)) from None
    if found > timezone.now():
        detail = f"{_told(value, found)} is in the future: leave {name} out for what is known now"
        raise ReadersError(ErrorKind.AS_OF_IN_THE_FUTURE, detail, name)
    return found


def _told(value: datetime | date | str, found: datetime) -> str:
    """An instant in words; a day as the end that is meant by it."""
    is_day = isinstance(value, str) and read_day(value) is not None
    return f"the end of {value} in New York" if is_day else f"{found.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def friday(name: str, value: date | str) -> date:
    """A week ending. ReadersError, which names the Fridays beside it, for another day."""
    day = _day(name, value)
    try:
        week_start_of(day)
    except CalendarError as error:
        before = day.toordinal() - (day.weekday() - 4) % 7
        nearest = tuple(date.fromordinal(one) for one in (before, before + WEEK.days) if one >= FIRST_WEEK.toordinal())
        raise ReadersError(ErrorKind.NOT_A_FRIDAY, str(error), name, Facts(nearest_fridays=nearest)) from None
    if day < FIRST_WEEK:
        raise _invalid(name, f"{day} is before FINRA's first published week, {FIRST_WEEK}")
    return day


def _day(name: str, value: date | str) -> date:
    if isinstance(value, datetime):
        raise _invalid(name, f"{name} is a day, not an instant")
    day = value if isinstance(value, date) else read_day(str(value).strip())
    if day is None:
        raise _invalid(name, f"{value!r} is no day: write YYYY-MM-DD")
    return day


def day(name: str, value: date | str) -> date:
    """A day. ReadersError for what is none."""
    return _day(name, value)


def age(name: str, value: int | str) -> int:
    """A number of days after a due date: a century at most, since no calendar has the days beyond."""
    days = count(name, value)
    if days > OLDEST_DAYS:
        raise _invalid(name, f"{name} is a number of days up to {OLDEST_DAYS:,}, not {value!r}")
    return days


def count(name: str, value: int | str, least: int = 0) -> int:
    """A whole number that is not less than `least`."""
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(MOST)):
        number = int(value)
    if number is None or not least <= number <= MOST:
        raise _invalid(name, f"{name} is a whole number from {least} on, not {value!r}")
    return number


def shares(name: str, value: str | int | Decimal) -> Decimal:
    """A number of shares, exact to the millionth."""
    text = f"{value}"
    if not QUANTITY.fullmatch(text):
        raise _invalid(name, f"{name} is a number of shares, not {value!r}")
    return Decimal(text)


def ratio(name: str, value: str | float) -> float:
    """A part of a whole: from 0 to 1."""
    text = f"{value:f}" if isinstance(value, float) else f"{value}"
    if not QUANTITY.fullmatch(text) or not 0 <= float(text) <= 1:
        raise _invalid(name, f"{name} is a part of a whole, from 0 to 1 (0.01 is one per cent), not {value!r}")
    return float(text)


def ages(name: str, value: str | int | Sequence[int] | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """Ages in days, as a list or with commas, in order."""
    if value is None:
        return default
    listed = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int) else value
    return tuple(sorted({age(name, one) for one in listed}))


def choice(name: str, value: str, allowed: type[N]) -> N:
    """One of the values of an enumeration, in capitals or not."""
    for spelling in (value, value.upper(), value.lower()):
        with suppress(ValueError):
            return allowed(spelling)
    values = tuple(one.value for one in allowed)
    raise _invalid(name, f"{name} is one of {', '.join(values)}, not {value!r}", Facts(allowed=values))


def choices(name: str, value: str | Sequence[str] | None, allowed: type[N]) -> tuple[N, ...]:
    """Several of them, as a list or with commas; none given is none."""
    return tuple(dict.fromkeys(choice(name, one, allowed) for one in _texts(value)))


def _tiers(value: str | Sequence[str] | None) -> tuple[tuple[Tier, ...], bool]:
    """The tiers asked for, in order; and whether figures over all of them are."""
    texts = _texts(value)
    if texts == (ALL,):
        return tuple(Tier), True
    try:
        return tuple(sorted({Tier.parse(text) for text in texts})) or tuple(Tier), False
    except CalendarError as error:
        raise _invalid("tier", str(error), Facts(allowed=(*(tier.value for tier in Tier), ALL))) from None


def _listed(value: date | str | Sequence[date | str]) -> Iterable[date | str]:
    if isinstance(value, str):
        return value.split(",")
    return [value] if isinstance(value, date) else value


def _texts(value: str | Sequence[str] | None, *, split: bool = True) -> tuple[str, ...]:
    """The texts of a list, or of one text with commas; a symbol is never split."""
    if value is None:
        return ()
    listed: Iterable[Any] = value if not isinstance(value, str) else value.split(",") if split else [value]
    return tuple(dict.fromkeys(str(one).strip() if split else str(one) for one in listed))


def _invalid(name: str, detail: str, facts: Facts | None = None) -> ReadersError:
    return ReadersError(ErrorKind.INVALID_PARAMETER, detail, name, facts)


def invalid(name: str, detail: str, facts: Facts | None = None) -> ReadersError:
    """That a keyword has a value that cannot be."""
    return _invalid(name, detail, facts)
