"""Weeks, tiers, publication lags and due dates: the only arithmetic on weeks (finra.md, "Weeks, tiers and publication").

A week is a Monday-to-Friday trading week. FINRA keys it by its Monday, weekStartDate; this project by its Friday,
week_ending. "Today" is the date in America/New_York.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from holidays import HolidayBase, financial_holidays

MARKET_ZONE = ZoneInfo("America/New_York")
WEEK = timedelta(days=7)
MONDAY_TO_FRIDAY = timedelta(days=4)
MONDAY, FRIDAY, SATURDAY = 0, 4, 5
SLIP = timedelta(
    days=6
)  # a publication may come so much later than it is due (finra.md), before it is the next week's turn
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
# The longest lag is 35 days from the Monday and moves on by at most four: due within 35 days of the Friday.
WEEKS_THAT_MAY_WAIT = 5
WEEKS_OF_A_QUARTER = 13
MOST_WEEKS = 520  # ten years; a longer range is asked for in parts
# FINRA's first published week: Rule 4552 took effect on Monday 2014-05-12 ("ATS Transparency - Phase 1"), and Tier 1 of that
# week came out three weeks later. Non-ATS rows begin with the week of 2016-04-04 (Regulatory Notice 15-48).
FIRST_WEEK = date(2014, 5, 16)
BEFORE_FINRA = f"FINRA's first published week is the week ending {FIRST_WEEK}"


class CalendarError(ValueError):
    """A week, tier or count that makes no sense; the message says why, and what would be right."""


class Tier(StrEnum):
    """FINRA's tiers: NMS Tier 1 (S&P 500, Russell 1000, some ETPs), the other NMS stocks, and OTC equities."""

    NMS_TIER_1 = "NMS_TIER_1"
    NMS_TIER_2 = "NMS_TIER_2"
    OTC = "OTC"

    @classmethod
    def parse(cls, text: str) -> Tier:
        """The tier that `text` names in any of FINRA's spellings; CalendarError otherwise."""
        try:
            return _ALIASES[text.strip().upper()]
        except KeyError:
            raise CalendarError(f"unknown tier {text!r}; known tiers: {', '.join(cls)}") from None

    @property
    def description(self) -> str:
        """The web file's tierDescription."""
        return _DESCRIPTIONS[self]

    @property
    def publication_lag(self) -> timedelta:
        """From weekStartDate to the nominal day of publication, a Monday."""
        return timedelta(days=21 if self is Tier.NMS_TIER_1 else 35)


_DESCRIPTIONS = {Tier.NMS_TIER_1: "NMS Tier 1", Tier.NMS_TIER_2: "NMS Tier 2", Tier.OTC: "OTC"}
_ALIASES = {
    **{tier.value: tier for tier in Tier},
    **{description.upper(): tier for tier, description in _DESCRIPTIONS.items()},
    "T1": Tier.NMS_TIER_1,
    "T2": Tier.NMS_TIER_2,
    "OTCE": Tier.OTC,
}


class PartitionKey(NamedTuple):
    """One (week_ending, tier)."""

    week_ending: date
    tier: Tier

    def __str__(self) -> str:
        return f"{self.week_ending} {self.tier}"


def week_ending_of(week_start: date) -> date:
    """The Friday of the week that starts on the Monday `week_start`."""
    if week_start.weekday() != MONDAY:
        raise CalendarError(f"{week_start} is a {week_start:%A}; a weekStartDate is a Monday")
    return week_start + MONDAY_TO_FRIDAY


def check_friday(week_ending: date) -> None:
    """CalendarError unless the day is a Friday."""
    if week_ending.weekday() != FRIDAY:
        raise CalendarError(f"{week_ending} is a {week_ending:%A}; {_nearest_fridays(week_ending)}")


def week_start_of(week_ending: date) -> date:
    """The Monday of the week that ends on the Friday `week_ending`."""
    check_friday(week_ending)
    return week_ending - MONDAY_TO_FRIDAY


def market_today(now: datetime | None = None) -> date:
    """The date in America/New_York, at `now` (aware) or at this moment."""
    if now is not None and now.utcoffset() is None:
        raise CalendarError("a naive datetime has no date in New York")
    return (now or datetime.now(MARKET_ZONE)).astimezone(MARKET_ZONE).date()


@cache
def _market_holidays() -> HolidayBase:
    return financial_holidays("NYSE")


def is_business_day(day: date) -> bool:
    """Whether the NYSE is open on `day`."""
    return day.weekday() < SATURDAY and day not in _market_holidays()


def next_business_day(day: date) -> date:
    """The first business day on or after `day`."""
    while not is_business_day(day):
        day += timedelta(days=1)
    return day


@lru_cache(4096)  # a page about five years of partitions asks it thousands of times
def due_date(tier: Tier, week_ending: date) -> date:
    """The day FINRA first publishes the partition: 21 or 35 days after its Monday, moved on over NYSE holidays."""
    try:
        return next_business_day(week_start_of(week_ending) + tier.publication_lag)
    except OverflowError:
        raise CalendarError(f"the calendar ends before {tier} of {week_ending} is due") from None


def is_due(key: PartitionKey, today: date) -> bool:
    """Whether the partition's due date has come."""
    return due_date(key.tier, key.week_ending) <= today


def last_fridays(n: int, on_or_before: date) -> tuple[date, ...]:
    """The last `n` Fridays, newest first."""
    _check_count(n)
    newest = _last_friday(on_or_before)
    if newest - 7 * (n - 1) < FIRST_WEEK.toordinal():
        raise CalendarError(f"{n} weeks back from {on_or_before} is too far: {BEFORE_FINRA}")
    return tuple(date.fromordinal(newest - 7 * i) for i in range(n))


def _check_count(weeks: int) -> None:
    if weeks < 1:
        raise CalendarError(f"the number of weeks must be at least 1, not {weeks}")


def _last_friday(on_or_before: date) -> int:
    """The ordinal of the last Friday."""
    return on_or_before.toordinal() - (on_or_before.weekday() - FRIDAY) % 7


def look_back(n: int, today: date) -> tuple[date, ...]:
    """The weeks of a look-back of `n`, newest first: the last `n` of which every tier is due, and all newer ones.

    They are the same weeks for every tier, so that no tier reaches less far back than another. Of the newer weeks only
    some partitions are due, those of Tier 1.
    """
    _check_count(n)
    return last_fridays(_waiting(today) + n, today)


def fully_due_weeks(n: int, today: date) -> tuple[date, ...]:
    """The last `n` weeks of which every tier is due, newest first."""
    return look_back(n, today)[_waiting(today) :]


def _waiting(today: date) -> int:
    """How many ended weeks have a tier that is not due yet."""
    ended = last_fridays(WEEKS_THAT_MAY_WAIT, today)
    return sum(not all(is_due(PartitionKey(week, tier), today) for tier in Tier) for week in ended)


def weeks_between(first: date, last: date) -> tuple[date, ...]:
    """The weeks from `first` to `last`, both Fridays, newest first."""
    check_friday(first)
    check_friday(last)
    if first > last:
        raise CalendarError(f"the range is empty: {first} is after {last}")
    return last_fridays((last - first) // WEEK + 1, last)


def parse_week(text: str, today: date) -> date:
    """A week ending as YYYY-MM-DD: a past Friday, not before FINRA's first week. It need not be due."""
    week_ending = parse_day(text.strip(), "a week ending")
    check_friday(week_ending)
    if week_ending > today:
        raise CalendarError(f"the week ending {week_ending} is still to come: today is {today}")
    if week_ending < FIRST_WEEK:
        raise CalendarError(f"there is no week ending {week_ending}: {BEFORE_FINRA}")
    return week_ending


def parse_weeks(text: str, today: date) -> tuple[date, ...]:
    """A comma-separated list of week endings, newest first; no duplicates."""
    weeks = [parse_week(part, today) for part in text.split(",")]
    for week in weeks:
        if weeks.count(week) > 1:
            raise CalendarError(f"the week ending {week} is given more than once")
    return tuple(sorted(weeks, reverse=True))


def parse_tiers(text: str) -> tuple[Tier, ...]:
    """A comma-separated list of tiers; no duplicates."""
    tiers = [Tier.parse(part) for part in text.split(",")]
    for tier in tiers:
        if tiers.count(tier) > 1:
            raise CalendarError(f"the tier {tier} is given more than once")
    return tuple(tiers)


def may_be_published_on(key: PartitionKey, day: date) -> bool:
    """Whether the partition may have been published first on `day`: on its due date, or within the six days after it."""
    due = due_date(key.tier, key.week_ending)
    return due <= day <= due + SLIP


def week_ending_from_update(tier: Tier, last_update: date) -> date | None:
    """The week of an unrevised file with this lastUpdateDate: the newest one due by then; None where there is none.

    Publication may slip by days: each week is published from its due date to the day before the next one's.
    """
    week_start = last_update.toordinal() - last_update.weekday() - tier.publication_lag.days
    if week_start <= WEEK.days:  # a file may hold any date, 0001-01-01 too
        return None
    week_ending = week_ending_of(date.fromordinal(week_start))
    return week_ending if due_date(tier, week_ending) <= last_update else week_ending - WEEK


def trading_days(week_ending: date) -> int:
    """How many days of the week the NYSE was open."""
    monday = week_start_of(week_ending)
    return sum(is_business_day(monday + timedelta(days=day)) for day in range(5))


def parse_run_date(text: str | None, now: datetime | None = None) -> date:
    """The day that a run takes for today: the day in New York at `now`, or an earlier one that is not before FINRA."""
    today = market_today(now)
    if text is None:
        return today
    try:
        run_date = parse_day(text, "it")
    except CalendarError as error:
        raise CalendarError(f"--run-date: {error}") from None
    if run_date > today:
        raise CalendarError(
            f"--run-date: {run_date} is still to come; today is {today} in New York, the latest possible"
        )
    if run_date <= FIRST_WEEK:
        raise CalendarError(f"--run-date: nothing was published by {run_date}: {BEFORE_FINRA}")
    return run_date


def parse_day(text: str, meaning: str = "a day") -> date:
    """The day in a text YYYY-MM-DD; CalendarError for any other text."""
    day = read_day(text)
    if day is None:
        raise CalendarError(f"{text!r} is not a date; write {meaning} as YYYY-MM-DD")
    return day


def read_day(text: str) -> date | None:
    """The day in a text YYYY-MM-DD, else None. `fromisoformat` alone would take 20251114 and 2025-W46-5 as well."""
    with suppress(ValueError):
        day = date.fromisoformat(text)
        if day.isoformat() == text:
            return day
    return None


def parse_instant(text: str) -> datetime:
    """An instant, written YYYY-MM-DD HH:MM with or without seconds and an offset: without, it is in UTC."""
    with suppress(ValueError, OverflowError):
        if INSTANT.fullmatch(text):
            instant = datetime.fromisoformat(text)
            return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
    raise CalendarError(f"{text!r} is not an instant; write YYYY-MM-DD HH:MM, in UTC")


def _nearest_fridays(day: date) -> str:
    if day < FIRST_WEEK:
        return BEFORE_FINRA
    before = date.fromordinal(_last_friday(day))
    return f"did you mean {before} or {before + WEEK}?"
