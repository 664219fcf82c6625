"""Weeks, tiers and due dates: every dated row of finra.md, properties over 2019-2027, what arguments are refused."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from pipeline.finra.calendar import (
    MARKET_ZONE,
    CalendarError,
    PartitionKey,
    Tier,
    due_date,
    fully_due_weeks,
    is_business_day,
    is_due,
    last_fridays,
    look_back,
    market_today,
    may_be_published_on,
    next_business_day,
    parse_instant,
    parse_run_date,
    parse_tiers,
    parse_week,
    parse_weeks,
    read_day,
    trading_days,
    week_ending_from_update,
    week_ending_of,
    week_start_of,
    weeks_between,
)

T1, T2, OTC = Tier.NMS_TIER_1, Tier.NMS_TIER_2, Tier.OTC
TODAY = date(2026, 1, 2)
DAY = timedelta(days=1)
WEEKS = weeks_between(date(2019, 1, 4), date(2027, 12, 31))
DAYS = [date(2019, 1, 1) + i * DAY for i in range(9 * 365 + 2)]

each_tier = pytest.mark.parametrize("tier", Tier)

# finra.md, "Weeks, tiers and publication": tier, weekStartDate, first publication.
PUBLISHED = [
    (T1, date(2022, 12, 5), date(2022, 12, 27)),
    (T1, date(2022, 12, 12), date(2023, 1, 3)),
    (T1, date(2022, 12, 26), date(2023, 1, 17)),
    (T1, date(2023, 9, 18), date(2023, 10, 9)),
    (T2, date(2026, 8, 3), date(2026, 9, 8)),
    (OTC, date(2026, 8, 3), date(2026, 9, 8)),
    (T1, date(2019, 11, 11), date(2019, 12, 2)),
    (T2, date(2019, 10, 28), date(2019, 12, 2)),
    (OTC, date(2019, 10, 28), date(2019, 12, 2)),
    (T1, date(2021, 11, 1), date(2021, 11, 22)),  # "Revisions": lastUpdateDate before the first restatement
    (OTC, date(2025, 11, 10), date(2025, 12, 15)),  # "Web file": the row of AABB
]
each_publication = pytest.mark.parametrize(("tier", "week_start", "published"), PUBLISHED)


def refuses(message: str) -> pytest.RaisesExc[CalendarError]:
    """Raises CalendarError with exactly this message."""
    return pytest.raises(CalendarError, match=rf"\A{re.escape(message)}\Z")


# Tiers


@pytest.mark.parametrize(
    ("text", "tier"),
    [
        ("T1", T1),
        ("NMS_TIER_1", T1),
        ("NMS Tier 1", T1),
        ("T2", T2),
        ("NMS_TIER_2", T2),
        ("NMS Tier 2", T2),
        ("OTCE", OTC),
        ("OTC", OTC),
        ("nms_tier_1", T1),
        ("nms tier 2", T2),
        ("otce", OTC),
        (" t1 ", T1),
    ],
)
def test_a_tier_is_known_by_every_spelling(text: str, tier: Tier) -> None:
    assert Tier.parse(text) is tier


@pytest.mark.parametrize("text", ["NA", "T3", "NMS", "T1 T2", ""])
def test_an_unknown_tier_is_refused_with_the_known_ones(text: str) -> None:
    with refuses(f"unknown tier {text!r}; known tiers: NMS_TIER_1, NMS_TIER_2, OTC"):
        Tier.parse(text)


def test_a_tier_knows_its_description_and_its_lag() -> None:
    assert [(tier.value, tier.description, tier.publication_lag.days) for tier in Tier] == [
        ("NMS_TIER_1", "NMS Tier 1", 21),
        ("NMS_TIER_2", "NMS Tier 2", 35),
        ("OTC", "OTC", 35),
    ]


@pytest.mark.parametrize(
    ("text", "tiers"),
    [("OTC", (OTC,)), ("OTC, T1", (OTC, T1)), ("NMS_TIER_1,NMS_TIER_2,OTC", (T1, T2, OTC))],
)
def test_a_list_of_tiers_keeps_its_order(text: str, tiers: tuple[Tier, ...]) -> None:
    assert parse_tiers(text) == tiers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown tier ''; known tiers: NMS_TIER_1, NMS_TIER_2, OTC"),
        ("T1,", "unknown tier ''; known tiers: NMS_TIER_1, NMS_TIER_2, OTC"),
        ("T1,T9", "unknown tier 'T9'; known tiers: NMS_TIER_1, NMS_TIER_2, OTC"),
        ("T1,OTC,T1", "the tier NMS_TIER_1 is given more than once"),
        ("OTC,OTCE", "the tier OTC is given more than once"),
    ],
)
def test_a_list_of_tiers_that_cannot_be_is_refused(text: str, message: str) -> None:
    with refuses(message):
        parse_tiers(text)


def test_a_partition_is_written_as_its_week_and_tier() -> None:
    assert str(PartitionKey(date(2025, 11, 14), OTC)) == "2025-11-14 OTC"


# Weeks


def test_a_week_starts_on_its_monday_and_ends_on_its_friday() -> None:
    assert week_start_of(date(2025, 11, 14)) == date(2025, 11, 10)
    assert week_ending_of(date(2025, 11, 10)) == date(2025, 11, 14)


def test_week_start_and_week_ending_are_inverse() -> None:
    assert [week_ending_of(week_start_of(week)) for week in WEEKS] == list(WEEKS)


def test_a_week_ends_on_no_other_day_than_a_friday() -> None:
    with refuses("2025-12-15 is a Monday; did you mean 2025-12-12 or 2025-12-19?"):
        week_start_of(date(2025, 12, 15))


def test_a_week_starts_on_no_other_day_than_a_monday() -> None:
    with refuses("2025-12-26 is a Friday; a weekStartDate is a Monday"):
        week_ending_of(date(2025, 12, 26))


@pytest.mark.parametrize(
    ("n", "on_or_before", "fridays"),
    [
        (1, date(2026, 1, 2), [date(2026, 1, 2)]),
        (1, date(2026, 1, 1), [date(2025, 12, 26)]),
        (2, date(2026, 1, 3), [date(2026, 1, 2), date(2025, 12, 26)]),
        (3, date(2024, 3, 7), [date(2024, 3, 1), date(2024, 2, 23), date(2024, 2, 16)]),
    ],
)
def test_the_last_fridays_are_newest_first_and_include_the_day_itself(
    n: int, on_or_before: date, fridays: list[date]
) -> None:
    assert last_fridays(n, on_or_before) == tuple(fridays)


def test_the_last_friday_is_less_than_a_week_ago() -> None:
    newest = [(day - last_fridays(1, day)[0]).days for day in DAYS]
    assert newest == [(day.weekday() - 4) % 7 for day in DAYS]


def test_the_calendar_goes_back_to_the_first_published_week() -> None:
    assert last_fridays(2, date(2014, 5, 23)) == (date(2014, 5, 23), date(2014, 5, 16))
    with refuses(f"3 weeks back from 2014-05-23 is too far: {FIRST}"):
        last_fridays(3, date(2014, 5, 23))
    with refuses(f"649 weeks back from 2026-01-02 is too far: {FIRST}"):
        weeks_between(date(2013, 8, 2), TODAY)


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_than_one_week_is_refused(n: int) -> None:
    with refuses(f"the number of weeks must be at least 1, not {n}"):
        last_fridays(n, TODAY)
    with refuses(f"the number of weeks must be at least 1, not {n}"):
        look_back(n, TODAY)


def test_a_range_of_weeks_is_newest_first_with_both_ends() -> None:
    friday = date(2025, 12, 12)
    assert weeks_between(friday, date(2025, 12, 26)) == (date(2025, 12, 26), date(2025, 12, 19), friday)
    assert weeks_between(friday, friday) == (friday,)


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (date(2025, 12, 19), date(2025, 12, 12), "the range is empty: 2025-12-19 is after 2025-12-12"),
        (
            date(2025, 12, 11),
            date(2025, 12, 19),
            "2025-12-11 is a Thursday; did you mean 2025-12-05 or 2025-12-12?",
        ),
        (
            date(2025, 12, 12),
            date(2025, 12, 20),
            "2025-12-20 is a Saturday; did you mean 2025-12-19 or 2025-12-26?",
        ),
    ],
)
def test_a_range_of_weeks_that_cannot_be_is_refused(first: date, last: date, message: str) -> None:
    with refuses(message):
        weeks_between(first, last)


# Week lists


@pytest.mark.parametrize(
    ("text", "weeks"),
    [
        ("2025-12-26", [date(2025, 12, 26)]),
        ("2025-12-19,2025-12-26", [date(2025, 12, 26), date(2025, 12, 19)]),
        (
            " 2025-12-12 , 2025-12-26,2025-12-19 ",
            [date(2025, 12, 26), date(2025, 12, 19), date(2025, 12, 12)],
        ),
        ("2026-01-02", [TODAY]),  # the week that ends today; due for no tier yet, and not refused for it
    ],
)
def test_a_week_list_is_newest_first_whatever_its_order_and_spaces(text: str, weeks: list[date]) -> None:
    assert parse_weeks(text, TODAY) == tuple(weeks)


FIRST = "FINRA's first published week is the week ending 2014-05-16"
BAD_WEEKS = [
    ("", "'' is not a date; write a week ending as YYYY-MM-DD"),
    ("last", "'last' is not a date; write a week ending as YYYY-MM-DD"),
    ("2025-02-30", "'2025-02-30' is not a date; write a week ending as YYYY-MM-DD"),
    ("20251114", "'20251114' is not a date; write a week ending as YYYY-MM-DD"),
    ("2025-W46-5", "'2025-W46-5' is not a date; write a week ending as YYYY-MM-DD"),
    ("2025-11-14T00:00", "'2025-11-14T00:00' is not a date; write a week ending as YYYY-MM-DD"),
    ("2025-12-15", "2025-12-15 is a Monday; did you mean 2025-12-12 or 2025-12-19?"),
    ("2025-12-20", "2025-12-20 is a Saturday; did you mean 2025-12-19 or 2025-12-26?"),
    ("2025-12-25", "2025-12-25 is a Thursday; did you mean 2025-12-19 or 2025-12-26?"),
    ("2026-01-09", "the week ending 2026-01-09 is still to come: today is 2026-01-02"),
    ("2014-05-09", f"there is no week ending 2014-05-09: {FIRST}"),
    ("1999-12-31", f"there is no week ending 1999-12-31: {FIRST}"),
    ("0001-01-01", f"0001-01-01 is a Monday; {FIRST}"),
    ("२०२५-11-14", "'२०२५-11-14' is not a date; write a week ending as YYYY-MM-DD"),
]
BAD_LISTS = [
    *BAD_WEEKS,
    ("2025-12-26,", "'' is not a date; write a week ending as YYYY-MM-DD"),
    ("2025-12-26;2025-12-19", "'2025-12-26;2025-12-19' is not a date; write a week ending as YYYY-MM-DD"),
    ("2025-12-26,2025-12-19, 2025-12-26", "the week ending 2025-12-26 is given more than once"),
]


@pytest.mark.parametrize(("text", "message"), BAD_WEEKS)
def test_a_week_that_cannot_be_is_refused_with_the_reason(text: str, message: str) -> None:
    with refuses(message):
        parse_week(text, TODAY)


@pytest.mark.parametrize(("text", "message"), BAD_LISTS)
def test_a_week_list_that_cannot_be_is_refused_with_the_reason(text: str, message: str) -> None:
    with refuses(message):
        parse_weeks(text, TODAY)


# Business days


@pytest.mark.parametrize(
    "closed",
    [
        date(2022, 12, 26),  # Christmas on a Sunday, observed
        date(2023, 1, 2),
        date(2023, 1, 16),
        date(2024, 3, 29),  # Good Friday
        date(2025, 1, 9),  # mourning for a former president
        date(2026, 7, 3),  # Independence Day on a Saturday, observed
        date(2026, 9, 7),
        date(2025, 12, 27),  # a Saturday
    ],
)
def test_the_market_is_closed_on_its_holidays_and_at_weekends(closed: date) -> None:
    assert not is_business_day(closed)


@pytest.mark.parametrize(
    "open_day",
    [
        date(2023, 10, 9),  # Columbus Day
        date(2025, 11, 11),  # Veterans Day
        date(2021, 12, 31),  # New Year's Day on a Saturday is not observed
        date(2025, 11, 28),  # closes early
        date(2025, 12, 24),
    ],
)
def test_the_market_is_open_on_other_holidays_and_on_short_days(open_day: date) -> None:
    assert is_business_day(open_day)


def test_an_open_day_is_its_own_next_business_day() -> None:
    assert next_business_day(date(2025, 12, 24)) == date(2025, 12, 24)
    assert next_business_day(date(2025, 12, 25)) == date(2025, 12, 26)
    assert next_business_day(date(2022, 12, 24)) == date(2022, 12, 27)


# Due dates


@each_publication
def test_a_partition_is_due_on_the_day_the_source_published_it(tier: Tier, week_start: date, published: date) -> None:
    key = PartitionKey(week_ending_of(week_start), tier)
    assert due_date(tier, key.week_ending) == published
    assert not is_due(key, published - DAY)
    assert is_due(key, published)


@each_publication
def test_a_publication_day_gives_the_week(tier: Tier, week_start: date, published: date) -> None:
    assert week_ending_from_update(tier, published) == week_ending_of(week_start)


@each_tier
def test_a_due_date_is_a_business_day_after_its_monday(tier: Tier) -> None:
    for week in WEEKS:
        due, nominal = due_date(tier, week), week_start_of(week) + tier.publication_lag
        assert is_business_day(due), (week, due)
        assert nominal.weekday() == 0
        assert nominal <= due <= nominal + 4 * DAY
        assert not any(is_business_day(nominal + i * DAY) for i in range((due - nominal).days)), (week, due)


@each_tier
def test_due_dates_move_on_with_the_weeks(tier: Tier) -> None:
    due = [due_date(tier, week) for week in WEEKS]
    assert due == sorted(set(due), reverse=True)


def test_both_lags_meet_on_one_day_two_weeks_apart() -> None:
    assert all(
        due_date(T1, week) == due_date(T2, week - timedelta(weeks=2)) == due_date(OTC, week - timedelta(weeks=2))
        for week in WEEKS
    )


@each_tier
def test_the_week_of_a_file_is_the_inverse_of_its_due_date(tier: Tier) -> None:
    assert [week_ending_from_update(tier, due_date(tier, week)) for week in WEEKS] == list(WEEKS)


@each_tier
def test_a_day_speaks_of_the_newest_week_due_by_then(tier: Tier) -> None:
    due = {week: due_date(tier, week) for week in last_fridays(520, DAYS[-1])}
    for day in DAYS:
        assert week_ending_from_update(tier, day) == max(week for week in due if due[week] <= day)


@pytest.mark.parametrize(
    ("published", "may_be"),
    [
        (date(2025, 12, 14), False),
        (date(2025, 12, 15), True),  # its due date
        (date(2025, 12, 16), True),  # a day late
        (date(2025, 12, 21), True),
        (date(2025, 12, 22), False),  # the next week's
    ],
)
def test_a_publication_may_slip_by_six_days(published: date, may_be: bool) -> None:
    assert may_be_published_on(PartitionKey(date(2025, 11, 14), OTC), published) is may_be


@each_tier
def test_an_absurd_date_speaks_of_no_week(tier: Tier) -> None:
    assert week_ending_from_update(tier, date.min) is None
    assert week_ending_from_update(tier, date.max) is not None


@pytest.mark.parametrize(
    ("week", "days"), [(date(2025, 11, 14), 5), (date(2025, 11, 28), 4), (date(2012, 11, 2), 3), (date(2026, 1, 2), 4)]
)
def test_trading_days_leave_out_holidays_and_closures(week: date, days: int) -> None:
    assert trading_days(week) == days


def test_a_due_date_needs_a_friday() -> None:
    with refuses("2025-11-10 is a Monday; did you mean 2025-11-07 or 2025-11-14?"):
        due_date(OTC, date(2025, 11, 10))


def test_a_due_date_beyond_the_last_day_there_is_is_refused() -> None:
    with refuses("the calendar ends before OTC of 9999-12-31 is due"):
        due_date(OTC, date.max)


# The look-back


def test_a_look_back_has_the_due_and_newer_weeks() -> None:
    monday = date(2025, 12, 15)
    fully = (date(2025, 11, 14), date(2025, 11, 7))
    newer = (date(2025, 12, 12), date(2025, 12, 5), date(2025, 11, 28), date(2025, 11, 21))
    assert fully_due_weeks(2, monday) == fully
    assert look_back(2, monday) == (*newer, *fully)
    assert look_back(1, monday) == (*newer, fully[0])


def test_a_week_is_fully_due_on_its_last_date() -> None:
    labor_day = date(2026, 9, 7)
    assert fully_due_weeks(1, labor_day) == (date(2026, 7, 31),)
    assert fully_due_weeks(1, labor_day + DAY) == (date(2026, 8, 7),)


def test_a_week_that_has_not_ended_is_in_no_look_back() -> None:
    thursday = date(2025, 12, 18)
    assert look_back(1, thursday)[0] == date(2025, 12, 12)
    assert look_back(1, thursday + DAY)[0] == date(2025, 12, 19)


def test_a_look_back_is_the_same_fridays_on_every_day() -> None:
    last_due = {week: max(due_date(tier, week) for tier in Tier) for week in last_fridays(520, DAYS[-1])}
    for day in DAYS:
        fridays = last_fridays(14, day)
        fully = tuple(week for week in fridays if last_due[week] <= day)[:6]
        assert fully_due_weeks(6, day) == fully
        assert look_back(6, day) == tuple(week for week in fridays if week >= fully[-1])


def test_a_look_back_beyond_the_calendar_is_refused() -> None:
    with refuses(f"1000000 weeks back from 2026-01-02 is too far: {FIRST}"):
        last_fridays(1_000_000, TODAY)
    with refuses(f"1000005 weeks back from 2026-01-02 is too far: {FIRST}"):  # five are not due yet
        look_back(1_000_000, TODAY)


# Today


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 1, 2, 4, 59, 59, tzinfo=UTC), date(2026, 1, 1)),  # UTC-5 in winter
        (datetime(2026, 1, 2, 5, 0, 0, tzinfo=UTC), date(2026, 1, 2)),
        (datetime(2026, 7, 2, 3, 59, 59, tzinfo=UTC), date(2026, 7, 1)),  # UTC-4 in summer
        (datetime(2026, 7, 2, 4, 0, 0, tzinfo=UTC), date(2026, 7, 2)),
        (datetime(2026, 3, 8, 4, 59, 59, tzinfo=UTC), date(2026, 3, 7)),  # the clocks go forward at 07:00 UTC
        (datetime(2026, 3, 9, 3, 59, 59, tzinfo=UTC), date(2026, 3, 8)),
        (datetime(2026, 3, 9, 4, 0, 0, tzinfo=UTC), date(2026, 3, 9)),
        (datetime(2026, 11, 1, 4, 0, 0, tzinfo=UTC), date(2026, 11, 1)),  # and back at 06:00 UTC
        (datetime(2026, 11, 2, 4, 59, 59, tzinfo=UTC), date(2026, 11, 1)),
        (datetime(2026, 11, 2, 5, 0, 0, tzinfo=UTC), date(2026, 11, 2)),
        (datetime(2026, 1, 2, 13, 59, tzinfo=timezone(timedelta(hours=9))), date(2026, 1, 1)),
    ],
)
def test_today_is_the_date_in_new_york(now: datetime, day: date) -> None:
    assert market_today(now) == day


def test_today_without_an_instant_is_the_date_in_new_york_now() -> None:
    before = market_today(datetime.now(UTC))
    assert before <= market_today() <= market_today(datetime.now(UTC))


def test_an_instant_without_a_zone_has_no_date_in_new_york() -> None:
    with refuses("a naive datetime has no date in New York"):
        market_today(datetime(2026, 1, 2, 12, 0))  # noqa: DTZ001


# What a person types


EVENING = datetime(2025, 12, 15, 23, 30, tzinfo=MARKET_ZONE)  # the 16th already in UTC


@pytest.mark.parametrize(("text", "day"), [(None, "2025-12-15"), ("2025-12-15", "2025-12-15"), ("2014-06-02",) * 2])
def test_a_run_date_is_today_in_new_york_or_earlier(text: str | None, day: str) -> None:
    assert parse_run_date(text, EVENING).isoformat() == day


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2025-12-16", "--run-date: 2025-12-16 is still to come; today is 2025-12-15 in New York, the latest possible"),
        ("2062-11-20", "--run-date: 2062-11-20 is still to come; today is 2025-12-15 in New York, the latest possible"),
        ("1999-12-31", f"--run-date: nothing was published by 1999-12-31: {FIRST}"),
        ("20251114", "--run-date: '20251114' is not a date; write it as YYYY-MM-DD"),
        ("2025-W46-5", "--run-date: '2025-W46-5' is not a date; write it as YYYY-MM-DD"),
        (" 2025-11-14", "--run-date: ' 2025-11-14' is not a date; write it as YYYY-MM-DD"),
        ("", "--run-date: '' is not a date; write it as YYYY-MM-DD"),
    ],
)
def test_a_run_date_that_cannot_be_is_refused(text: str, message: str) -> None:
    with refuses(message):
        parse_run_date(text, EVENING)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-12-15 10:30", "2025-12-15T10:30:00+00:00"),
        ("2025-12-15T10:30:05.5", "2025-12-15T10:30:05.500000+00:00"),
        ("2025-12-15T10:30:05Z", "2025-12-15T10:30:05+00:00"),
        ("2025-12-15 10:30-05:00", "2025-12-15T15:30:00+00:00"),
    ],
)
def test_an_instant_is_in_utc_unless_it_says_otherwise(text: str, instant: str) -> None:
    assert parse_instant(text).isoformat() == instant


@pytest.mark.parametrize(
    "text", ["", "2025-12-15", "20251215T1030", "2025-W51-1 10:30", "2025-12-15 25:00", "0001-01-01 00:00+23:00"]
)
def test_an_instant_in_any_other_form_is_refused(text: str) -> None:
    with refuses(f"{text!r} is not an instant; write YYYY-MM-DD HH:MM, in UTC"):
        parse_instant(text)


@pytest.mark.parametrize("text", ["11/14/2025", "2025-1-4", "20251114", "1999"])
def test_a_day_is_read_in_one_form_only(text: str) -> None:
    assert read_day(text) is None
    assert read_day("2025-11-14") == date(2025, 11, 14)
