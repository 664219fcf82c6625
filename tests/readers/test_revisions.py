"""What changed between vintages: row versions, differences, the feed, what a period restated, and the revision profile."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import time_machine

from pipeline import readers
from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture, Cause, Check, Outcome, Partition, Revision
from pipeline.readers import measured
from pipeline.readers.revision_sentence import Move, sentences
from pipeline.weeks import analytics
from tests.readers.test_rows import kind_of
from tests.support.capturing import KEY, WEEK
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, psv, row
from tests.vintages.frames import stored

DUE = datetime(2025, 12, 15, 15, tzinfo=UTC)  # OTC of 2025-11-14
DAY = timedelta(days=1)
A = [row("AAPL", "UBSA", 100, 2), row("BRKB", "SGMT", 100, 1), row("IBM", "", 50, 1, name="A firm")]
B = [
    row("AAPL", "UBSA", 150, 3, updated="2025-12-22"),
    row("BRKB", "SGMT", 100, 1),
    row("IBM", "", 50, 1, name="A firm"),
]
C = [row("AAPL", "UBSA", 150, 3, updated="2025-12-22"), row("NEWW", "SGMT", 7, 1), row("IBM", "", 50, 1, name="A firm")]


@pytest.fixture
def source() -> MemorySource:
    return MemorySource()


def capture_at(
    source: MemorySource, at: datetime, lines: Iterable[str], *, key: PartitionKey = KEY, force: bool = False
) -> Capture:
    """The partition's newest capture once the source has been asked at an instant."""
    with time_machine.travel(at, tick=False):
        ats = [line for line in lines if line.split("|")[4]]
        firms = [line for line in lines if line not in ats]
        source.publish(key, psv(*ats), psv(*firms) if firms else None)
        result = ingest.ingest(key, source, Terms(run_date=at.date(), force=force))
        assert result.capture is not None, result.reason
    newest = Partition.objects.get(week_ending=key.week_ending, tier=key.tier).latest
    assert newest is not None
    return newest


def shown(result: readers.Result, *columns: str) -> list[tuple[object, ...]]:
    return [
        tuple(float(v) if isinstance(v, Decimal) else v for v in line) for line in result.frame.select(columns).rows()
    ]


@pytest.fixture
def _three_vintages(ledger: Ledger, source: MemorySource, few_rows: None) -> None:
    for days, lines in ((0, A), (7, B), (14, C)):
        capture_at(source, DUE + days * DAY, lines)


@pytest.mark.usefixtures("_three_vintages")
def test_complaint_05_row_versions_have_whole_intervals_whatever_is_asked() -> None:
    aapl = [(100.0, 2, 1, 1, DUE, DUE + 7 * DAY), (150.0, 3, 2, None, DUE + 7 * DAY, None)]
    columns = ("shares", "trades", "first_version", "last_version", "known_from", "known_to")

    for asked in ({"weeks": "all"}, {"week_ending": WEEK}, {"from_week": WEEK, "to_week": WEEK}, {"tier": "OTC"}):
        assert shown(readers.row_history(symbol="AAPL", **asked), *columns) == aapl
    assert shown(readers.row_history(mpid="SGMT"), "symbol", *columns[2:]) == [
        ("BRKB", 1, 2, DUE, DUE + 14 * DAY),
        ("NEWW", 3, None, DUE + 14 * DAY, None),
    ]
    assert shown(readers.row_history(symbol="AAPL", as_of=DUE + DAY), *columns) == [(100.0, 2, 1, None, DUE, None)]
    assert shown(readers.row_history(symbol="IBM"), "known_from", "known_to") == [(DUE, None)]
    assert kind_of(lambda: readers.row_history(week_ending=WEEK)) == "invalid-parameter"
    assert kind_of(lambda: readers.row_history(symbol="AAPL", vintage="first")) == "invalid-parameter"


def test_complaint_04_a_row_that_went_and_came_back(ledger: Ledger, source: MemorySource, few_rows: None) -> None:
    for days, lines in ((0, A), (7, A[1:]), (14, A)):
        capture_at(source, DUE + days * DAY, lines)
    found = [[line["symbol"] for line in readers.rows(as_of=DUE + days * DAY).to_dicts()] for days in (1, 8, 15)]

    assert found == [["AAPL", "BRKB", "IBM"], ["BRKB", "IBM"], ["AAPL", "BRKB", "IBM"]]
    assert shown(readers.row_history(symbol="AAPL"), "first_version", "last_version", "known_to") == [
        (1, 1, DUE + 7 * DAY),
        (3, None, None),
    ]
    assert shown(readers.restatements(), "rows_added", "rows_changed", "rows_removed") == [(0, 0, 1), (1, 0, 0)]


@pytest.mark.usefixtures("_three_vintages")
def test_complaint_09_one_row_for_a_key_at_any_instant() -> None:
    for hours in range(0, 24 * 16, 12):
        frame = readers.rows(as_of=DUE + timedelta(hours=hours)).frame
        assert frame.select("symbol", "mpid", "venue_name").is_unique().all()


@pytest.mark.usefixtures("_three_vintages")
def test_differences_of_two_captures_and_of_two_instants(source: MemorySource) -> None:
    first, second, third = Capture.objects.order_by("version")
    whole = readers.differences(from_capture=first.capture_id, to_capture=third.capture_id)
    columns = ("change", "symbol", "shares_before", "shares_after", "shares_change", "relative_change")

    assert shown(whole, *columns) == [
        ("removed", "BRKB", 100.0, None, -100.0, None),
        ("changed", "AAPL", 100.0, 150.0, 50.0, 0.5),
        ("added", "NEWW", None, 7.0, 7.0, None),
    ]
    assert whole.frame.equals(readers.differences(from_as_of=DUE, to_as_of=DUE + 20 * DAY, week_ending=WEEK).frame)
    capture_at(source, DUE + 16 * DAY, A, key=KEY._replace(week_ending=WEEK + 7 * DAY))
    assert readers.differences(from_as_of=DUE, to_as_of=DUE + 20 * DAY).frame.equals(whole.frame), "of older weeks, too"
    assert whole.pinned
    summary = whole.summary
    assert (summary.added, summary.changed, summary.removed, summary.unchanged) == (1, 1, 1, 1)
    assert (summary.shares_before, summary.shares_after, summary.gross_change) == (250, 207, 157)
    assert summary.changed_without_last_update == 0
    assert shown(readers.differences(to_capture=second.capture_id), "symbol") == [("AAPL",)]
    few = partial(readers.differences, from_capture=first.capture_id, to_capture=third.capture_id)
    assert shown(few(min_change="50"), "symbol") == [("BRKB",), ("AAPL",)]
    assert shown(few(change="added,removed"), "symbol") == [("BRKB",), ("NEWW",)]
    assert shown(few(symbol="AAPL", venue_kind="ATS"), "trades_before", "trades_after") == [(2, 3)]
    page = whole.page(None, 2)
    assert page.frame.equals(whole.frame[:2])
    assert whole.page(page.next, 2).frame.equals(whole.frame[2:])
    assert kind_of(readers.differences) == "invalid-parameter"
    assert kind_of(lambda: readers.differences(to_capture=first.capture_id)) == "invalid-parameter"
    assert kind_of(lambda: few(min_change="-1")) == "invalid-parameter"


@pytest.mark.parametrize("measured_before", [True, False])
def test_the_feed_says_what_each_vintage_moved(
    ledger: Ledger, source: MemorySource, few_rows: None, measured_before: bool
) -> None:
    for days, lines in ((0, A), (7, B), (14, C)):
        capture_at(source, DUE + days * DAY, lines)
        if measured_before:
            analytics.calculate_week(WEEK)
    assert Revision.objects.count() == (9 if measured_before else 0)
    feed = readers.restatements()

    assert shown(
        feed, "position", "age_days", "cause", "rows_added", "rows_changed", "rows_removed", "rows_unchanged"
    ) == [
        (2, 7, "SOURCE", 0, 1, 0, 2),
        (3, 14, "SOURCE", 1, 0, 1, 2),
    ]
    assert shown(
        feed, "shares_before", "shares_after", "gross_change_ratio", "venues_moved", "largest_share_move_bp"
    ) == [
        (250.0, 300.0, 0.2, 1, pytest.approx(1000)),
        (300.0, 207.0, pytest.approx(107 / 300), 1, pytest.approx((150 / 157 - 0.6) * 10_000)),
    ]
    assert shown(feed, "hhi_ats_before", "hhi_ats_after", "rank_changes_top10") == [
        (0.5, pytest.approx(0.52), 1),
        (pytest.approx(0.52), pytest.approx((150 / 157) ** 2 + (7 / 157) ** 2), 0),
    ]
    assert feed.meta.facts.high_water == 3


@pytest.mark.usefixtures("_three_vintages")
def test_a_poller_follows_the_feed_with_one_integer(source: MemorySource) -> None:
    seen, after = [], 0
    for days, lines in ((15, A), (16, B), (17, B), (18, C)):
        answer = readers.restatements(after=after)
        seen += answer.frame["position"].to_list()
        after = max([after, answer.meta.facts.high_water, *answer.frame["position"].to_list()])
        capture_at(source, DUE + days * DAY, lines)
    seen += readers.restatements(after=after).frame["position"].to_list()

    assert seen == [2, 3, 4, 5, 6]
    pages, place = [], None
    while True:
        page = readers.restatements().page(place, 2)
        pages.append(page.frame["position"].to_list())
        place = page.next
        if place is None:
            break
    assert pages == [[2, 3], [4, 5], [6]]
    assert shown(readers.restatements(from_day="2025-12-22", to_day="2025-12-29"), "position") == [(2,), (3,)]
    assert readers.restatements(after=6).empty_because == "nothing was restated"
    assert kind_of(lambda: readers.restatements().page(("x",), 1)) == "invalid-parameter"
    for feed in (readers.restatements, readers.readiness_changes, readers.captures):
        assert feed(after=6).frame.is_empty()
        assert kind_of(lambda feed=feed: feed(after=7)) == "position-in-the-future"  # type: ignore[misc]


@pytest.mark.usefixtures("_three_vintages")
def test_what_a_period_restated_by_symbol_and_by_venue(source: MemorySource) -> None:
    forced = capture_at(source, DUE + 20 * DAY, A, force=True)
    assert forced.cause == Cause.FORCED

    assert shown(
        readers.restated_symbols(), "symbol", "restatements", "rows_added", "rows_removed", "gross_change"
    ) == [
        ("BRKB", 1, 0, 1, 100.0),
        ("AAPL", 1, 0, 0, 50.0),
        ("NEWW", 1, 1, 0, 7.0),
    ]
    assert shown(readers.restated_venues(), "mpid", "restatements", "gross_change", "net_change") == [
        ("SGMT", 1, 107.0, -93.0),
        ("UBSA", 1, 50.0, 50.0),
    ]
    assert shown(readers.restated_symbols(from_day="2025-12-23"), "symbol") == [("BRKB",), ("NEWW",)]
    assert shown(readers.restated_symbols(symbol="AAPL"), "gross_change") == [(50.0,)]
    assert readers.restated_symbols(to_day="2025-12-21").frame.is_empty()


def cells(**asked: object) -> dict[int, tuple[str, object]]:
    frame = readers.revision_triangle(venue_kind="ALL", **asked).frame  # type: ignore[arg-type]
    return {age: (state, value) for age, state, value in frame.select("age_days", "state", "value").rows()}


def test_a_partition_counts_at_an_age_only_if_it_was_checked_then_or_later(
    ledger: Ledger, source: MemorySource, few_rows: None
) -> None:
    capture_at(source, DUE, A)
    capture_at(source, DUE + 7 * DAY, B)
    capture_at(source, DUE + 28 * DAY, B)  # the same: a check without a capture
    with time_machine.travel(DUE + 60 * DAY, tick=False):
        found = cells()
        profile = readers.revision_profile(venue_kind="ALL", ages="0,7,28,56")

        assert found == {
            0: ("VERIFIED", 0.0),
            7: ("VERIFIED", 0.2),
            14: ("VERIFIED", 0.2),
            28: ("VERIFIED", 0.2),
            56: ("NOT_VERIFIED", None),
            91: ("TOO_YOUNG", None),
            182: ("TOO_YOUNG", None),
            364: ("TOO_YOUNG", None),
        }
        columns = ("age_days", "partitions_verified", "partitions_not_verified", "revised_ratio", "p50", "max", "mean")
        assert shown(profile, *columns, "rows_changed_per_million") == [
            (0, 1, 0, 0.0, 0.0, 0.0, 0.0, 0.0),
            (7, 1, 0, 1.0, 0.2, 0.2, 0.2, pytest.approx(1_000_000 / 3)),
            (28, 1, 0, 1.0, 0.2, 0.2, 0.2, pytest.approx(1_000_000 / 3)),
            (56, 0, 1, None, None, None, None, None),
        ]
        assert profile.meta.facts.oldest_verified_age_days == 28
        assert readers.revision_sentence("OTC", "ATS", 7) == (
            "OTC ATS weeks: too few verified weeks to say how much they move after this age (1 of 20)."
        )


def test_a_change_between_two_checks_around_an_age_is_uncertain(
    ledger: Ledger, source: MemorySource, few_rows: None
) -> None:
    capture_at(source, DUE, A)
    capture_at(source, DUE + 10 * DAY, B)
    with time_machine.travel(DUE + 20 * DAY, tick=False):
        assert [cells(ages=[0, 7, 14])[age][0] for age in (0, 7, 14)] == ["VERIFIED", "UNCERTAIN", "NOT_VERIFIED"]


def test_a_late_first_capture_and_our_own_doing_are_told_apart(
    ledger: Ledger, source: MemorySource, few_rows: None
) -> None:
    late = KEY._replace(week_ending=WEEK - 7 * DAY)  # due on 2025-12-08
    unrevised = KEY._replace(week_ending=WEEK - 14 * DAY)  # due on 2025-12-01
    capture_at(source, DUE, [row("AAPL", "UBSA", 1, updated="2025-12-10")], key=late)
    capture_at(source, DUE, [row("AAPL", "UBSA", 2, updated="2025-12-01")], key=unrevised)
    capture_at(source, DUE, A)
    capture_at(source, DUE + DAY, B, force=True)
    with time_machine.travel(DUE + 9 * DAY, tick=False):
        result = readers.revision_triangle(venue_kind="ALL", ages=7)

    assert shown(result, "week_ending", "state") == [
        (date(2025, 10, 31), "VERIFIED"),
        (date(2025, 11, 7), "LATE_FIRST_CAPTURE"),
        (date(2025, 11, 14), "EXCLUDED"),
    ]
    facts = result.meta.facts
    assert (facts.late_first_captures, facts.excluded) == (1, {"forced": 1})


def test_a_truncated_vintage_that_was_soon_restored_is_left_out(
    ledger: Ledger, source: MemorySource, few_rows: None, settings: object
) -> None:
    settings.MARKETSPINE_MAX_RESTATED_SHARE = 0.25  # type: ignore[attr-defined]
    capture_at(source, DUE, A)
    settings.MARKETSPINE_MAX_RESTATED_SHARE = 100.0  # type: ignore[attr-defined]
    capture_at(source, DUE + 7 * DAY, [A[0], A[2]])
    capture_at(source, DUE + 8 * DAY, A)
    settings.MARKETSPINE_MAX_RESTATED_SHARE = 0.25  # type: ignore[attr-defined]
    with time_machine.travel(DUE + 9 * DAY, tick=False):
        result = readers.revision_triangle(venue_kind="ALL", ages=7)

    assert shown(result, "state", "value") == [("VERIFIED", 0.0)]
    assert result.meta.facts.excluded == {"reverted": 1}


def test_twenty_verified_weeks_make_a_sentence(ledger: Ledger, source: MemorySource, few_rows: None) -> None:
    for back in range(20):
        key = PartitionKey(WEEK - 7 * back * DAY, Tier.OTC)
        capture_at(source, DUE - 7 * back * DAY, A, key=key)
        Check.objects.note(Partition.objects.get(week_ending=key.week_ending), None, Outcome.UNCHANGED)
    Check.objects.update(checked_at=DUE + 30 * DAY)
    capture_at(source, DUE + 31 * DAY, B)
    with time_machine.travel(DUE + 40 * DAY, tick=False):
        told = readers.revision_sentence("OTC", "ALL", 0)

    assert told == (
        "OTC weeks at this age have since moved not at all in 95 of 100 cases (20 verified weeks); "
        "the largest moved by 20 %."
    )


def test_what_a_storage_has_that_is_away_is_not_lost(
    ledger: Ledger, source: MemorySource, few_rows: None, archive_dir: Path
) -> None:
    for days, lines in ((0, A), (7, B)):
        capture_at(source, DUE + days * DAY, lines)
    measured._computed.cache_clear()
    shutil.move(archive_dir / "vintages", archive_dir / "elsewhere")
    assert kind_of(lambda: readers.restatements().frame) == "storage-away"
    shutil.move(archive_dir / "elsewhere", archive_dir / "vintages")
    assert shown(readers.restatements(), "gross_change_ratio") == [(0.2,)]


def test_tiers_of_which_too_few_weeks_are_verified_have_one_sentence() -> None:
    still, moved = Move(0.0, 0.0), Move(0.25, 0.25)
    told = sentences({"NMS_TIER_1": [still] * 19, "OTC": [*[still] * 19, moved], "NMS_TIER_2": []}, "NON_ATS")
    assert told == (
        "OTC NON-ATS weeks at this age have since moved not at all in 95 of 100 cases (20 verified weeks); "
        "the largest moved by 25 %.",
        "NMS_TIER_1, NMS_TIER_2 NON-ATS weeks: too few verified weeks to say how much they move after this age "
        "(19, 0 of 20).",
    )


def test_a_partition_is_settled_since_it_stayed_near_what_it_was_when_last_seen(
    ledger: Ledger, source: MemorySource, few_rows: None
) -> None:
    older = KEY._replace(week_ending=WEEK - 7 * DAY)
    capture_at(source, DUE - 7 * DAY, [row("AAPL", "UBSA", 3, updated="2025-12-08")], key=older)
    near = [row("AAPL", "UBSA", "150.1", 3, updated="2025-12-29"), *B[1:]]  # a third of a thousandth of all
    for days, lines in ((0, A), (7, B), (14, near), (30, near)):
        capture_at(source, DUE + days * DAY, lines)
    with time_machine.travel(DUE + 60 * DAY, tick=False):
        triangle = readers.revision_triangle(venue_kind="ALL", ages="0,7,28,56")
        profile = readers.revision_profile(venue_kind="ALL", ages="0,7,28")
        watched = readers.revision_profile(venue_kind="ALL", ages="0,7,28", min_verified_age=28)

    assert shown(triangle, "week_ending", "age_days", "state", "settled_age_days") == [
        (older.week_ending, 0, "VERIFIED", 0),
        *((older.week_ending, age, "NOT_VERIFIED", None) for age in (7, 28, 56)),
        *((WEEK, age, "VERIFIED", 7) for age in (0, 7, 28)),
        (WEEK, 56, "NOT_VERIFIED", None),
    ]
    columns = ("age_days", "partitions_verified", "partitions_not_verified", "settled_ratio")
    assert shown(profile, *columns) == [(0, 2, 0, 0.5), (7, 1, 1, 1.0), (28, 1, 1, 1.0)]
    assert shown(watched, *columns) == [(0, 1, 0, 0.0), (7, 1, 0, 1.0), (28, 1, 0, 1.0)]
    assert profile.meta.facts.settled_within == 0.001
    assert kind_of(lambda: readers.revision_profile(min_verified_age="-1")) == "invalid-parameter"


def test_the_reliability_of_a_venue_is_that_of_its_verified_weeks(
    ledger: Ledger, source: MemorySource, few_rows: None
) -> None:
    older = KEY._replace(week_ending=WEEK - 7 * DAY)
    for days in (0, 10):
        capture_at(source, DUE + (days - 7) * DAY, A, key=older)
    for days, lines in ((0, A), (7, B), (8, [*B, row("AAPL", "CAME", 50, 1)]), (10, [*B, row("AAPL", "CAME", 50, 1)])):
        capture_at(source, DUE + days * DAY, lines)
    with time_machine.travel(DUE + 11 * DAY, tick=False):
        ats = readers.revision_venues(venue_kind="ATS", ages="0,7,9")
        firm = readers.revision_venues(venue_name="A firm", ages=9)
        moves = readers.revision_venues(mpid="UBSA,SGMT", ages=9, measure="largest_share_move_bp")
        young = readers.revision_venues(min_verified_age=20)
        triangle = readers.revision_venue_triangle(mpid="UBSA", ages="7,9,10")
        net = readers.revision_venue_triangle(venue_kind="ATS", ages=9, measure="net_change_ratio", week_ending=WEEK)
        refused = kind_of(lambda: readers.revision_venues(measure="rank_changes"))

    assert shown(ats, "mpid", "age_days", "weeks_verified", "revised_ratio", "p50", "max", "mean") == [
        ("SGMT", 0, 2, 0.0, 0.0, 0.0, 0.0),
        ("SGMT", 7, 2, 0.0, 0.0, 0.0, 0.0),
        ("SGMT", 9, 2, 0.0, 0.0, 0.0, 0.0),
        ("UBSA", 0, 2, 0.0, 0.0, 0.0, 0.0),
        ("UBSA", 7, 2, 0.5, 0.0, 0.5, 0.25),
        ("UBSA", 9, 2, 0.5, 0.0, 0.5, 0.25),
    ]
    assert shown(firm, "venue_kind", "venue_name", "weeks_verified", "max") == [("NON_ATS", "A firm", 2, 0.0)]
    assert shown(triangle, "week_ending", "mpid", "age_days", "shares_first_published", "value") == [
        (older.week_ending, "UBSA", 7, 100.0, 0.0),
        (older.week_ending, "UBSA", 9, 100.0, 0.0),
        (older.week_ending, "UBSA", 10, 100.0, 0.0),
        (WEEK, "UBSA", 7, 100.0, 0.5),
        (WEEK, "UBSA", 9, 100.0, 0.5),
        (WEEK, "UBSA", 10, 100.0, 0.5),
    ]
    assert shown(net, "mpid", "value") == [("SGMT", 0.0), ("UBSA", 0.5)]
    assert shown(moves, "mpid", "max", "mean") == [
        ("SGMT", pytest.approx(10_000 / 6), pytest.approx(-10_000 / 12)),
        ("UBSA", 0.0, 0.0),
    ]
    assert (young.frame.height, refused) == (0, "invalid-parameter")


@pytest.mark.usefixtures("ledger")
def test_of_a_kind_that_went_no_share_moved_and_none_is_known() -> None:
    stored([("AAA", "UBSA", "60", 6), ("AAA", "A firm", "40", 2)], DUE)
    stored([("AAA", "UBSA", "60", 6)], DUE + 3 * DAY)
    with time_machine.travel(DUE + 40 * DAY, tick=False):
        told = readers.revision_venues(ages=[3], measure="largest_share_move_bp").frame
    assert told.select("mpid", "mean", "max").rows() == [("UBSA", 0.0, 0.0), ("", None, None)]
