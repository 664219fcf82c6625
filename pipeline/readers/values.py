"""The values of keywords: each is read from text or from its own type, and checked here alone. ReadersError otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from operator import index
from typing import SupportsIndex, TypeVar

from django.utils import timezone

from pipeline.finra.calendar import FIRST_WEEK, WEEK, CalendarError, read_day, week_start_of
from pipeline.readers.errors import ErrorKind, Facts, ReadersError
from pipeline.readers.wording import did_you_mean
from pipeline.vintages import read

MOST = 2**31 - 1
OLDEST_DAYS = 36_500
QUANTITY = re.compile(r"\d{1,18}(\.\d{1,6})?", re.ASCII)
WITH_OFFSET = re.compile(r".*(Z|[+-]\d\d:\d\d)", re.ASCII)
N = TypeVar("N", bound=StrEnum)


def instant(name: str, value: datetime | date | str) -> datetime:
    """An aware instant: of a day its end in New York. A time of day needs an offset; none may be to come."""
    if isinstance(value, str):
        value = value.strip().replace(" ", "+") if "T" in value else value.strip()  # "+" in a URL is a space
        if read_day(value) is None and not WITH_OFFSET.fullmatch(value):
            raise invalid(name, f"{value!r} is no instant with an offset, 2026-11-18T00:00:00Z, and no day, 2026-11-18")
    try:
        found = read.instant_of(value)
    except CalendarError as error:
        raise invalid(name, str(error)) from None
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
    found = day(name, value)
    try:
        week_start_of(found)
    except CalendarError as error:
        before = found.toordinal() - (found.weekday() - 4) % 7
        nearest = tuple(date.fromordinal(one) for one in (before, before + WEEK.days) if one >= FIRST_WEEK.toordinal())
        raise ReadersError(ErrorKind.NOT_A_FRIDAY, str(error), name, Facts(nearest_fridays=nearest)) from None
    if found < FIRST_WEEK:
        raise invalid(name, f"{found} is before FINRA's first published week, {FIRST_WEEK}")
    return found


def fridays(name: str, value: date | str | Sequence[date | str]) -> tuple[date, ...]:
    """Week endings, as a list or with commas, in order."""
    listed = value.split(",") if isinstance(value, str) else [value] if isinstance(value, date) else value
    return tuple(sorted({friday(name, one) for one in listed}))


def day(name: str, value: date | str) -> date:
    """A day. ReadersError for any other text, and for an instant."""
    if isinstance(value, datetime):
        raise invalid(name, f"{name} is a day, not an instant")
    found = value if isinstance(value, date) else read_day(str(value).strip())
    if found is None:
        raise invalid(name, f"{value!r} is no day: write YYYY-MM-DD")
    return found


def age(name: str, value: int | str) -> int:
    """A number of days after a due date: a century at most, since no calendar has the days beyond."""
    days = count(name, value)
    if days > OLDEST_DAYS:
        raise invalid(name, f"{name} is a number of days up to {OLDEST_DAYS:,}, not {value!r}")
    return days


def count(name: str, value: int | str, least: int = 0) -> int:
    """A whole number that is not less than `least`."""
    number = index(value) if isinstance(value, SupportsIndex) and not isinstance(value, bool) else None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(MOST)):
        number = int(value)
    if number is None or not least <= number <= MOST:
        raise invalid(name, f"{name} is a whole number from {least} on, not {value!r}")
    return number


def shares(name: str, value: str | int | Decimal) -> Decimal:
    """A number of shares, exact to the millionth."""
    text = f"{value}"
    if not QUANTITY.fullmatch(text):
        raise invalid(name, f"{name} is a number of shares, not {value!r}")
    return Decimal(text)


def ratio(name: str, value: str | float) -> float:
    """A part of a whole: from 0 to 1."""
    text = f"{value:f}" if isinstance(value, float) else f"{value}"
    if not QUANTITY.fullmatch(text) or not 0 <= float(text) <= 1:
        raise invalid(name, f"{name} is a part of a whole, from 0 to 1 (0.01 is one per cent), not {value!r}")
    return float(text)


def ages(name: str, value: str | int | Sequence[int] | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """Ages in days, as a list or with commas, in order."""
    if value is None:
        return default
    listed = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int) else value
    return tuple(sorted({age(name, one) for one in listed}))


def choice(name: str, value: str, allowed: type[N]) -> N:
    """One of the values of an enumeration, in capitals or not."""
    written = _text(name, value)
    for spelling in (written, written.upper(), written.lower()):
        with suppress(ValueError):
            return allowed(spelling)
    values = tuple(one.value for one in allowed)
    raise not_among(name, written, values, f"{name} is one of {', '.join(values)}, not {value!r}")


def choices(name: str, value: str | Sequence[str] | None, allowed: type[N]) -> tuple[N, ...]:
    """Several of them, as a list or with commas; none given is none."""
    return tuple(dict.fromkeys(choice(name, one, allowed) for one in texts(name, value)))


def texts(name: str, value: str | Sequence[str] | None, *, split: bool = True) -> tuple[str, ...]:
    """The texts of a list or a column, or of one text with commas; a symbol is never split."""
    if value is None:
        return ()
    if not isinstance(value, str | Iterable):
        raise _no_text(name, value)
    listed = value if not isinstance(value, str) else value.split(",") if split else [value]
    return tuple(dict.fromkeys(_text(name, one).strip() if split else _text(name, one) for one in listed))


def text(name: str, value: str | None) -> str | None:
    """A text, if one is given."""
    return None if value is None else _text(name, value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _no_text(name, value)
    return str(value)


def _no_text(name: str, value: object) -> ReadersError:
    return invalid(name, f"{name} is text, not {value!r}")


def not_among(name: str, value: str, allowed: tuple[str, ...], detail: str) -> ReadersError:
    """The error that a value is none of the allowed ones, which names the nearest."""
    meant = did_you_mean(value, allowed)
    hint = f"; did you mean {meant}?" if meant else ""
    return invalid(name, f"{detail}{hint}", Facts(did_you_mean=meant, allowed=allowed))


def invalid(name: str, detail: str, facts: Facts | None = None) -> ReadersError:
    """The error that a keyword has a value that it cannot have."""
    return ReadersError(ErrorKind.INVALID_PARAMETER, detail, name, facts)
