"""No READY on a file whose columns stand under each other's header, or whose figures are not of this market."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from pipeline.capture import ingest, survey
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier, due_date
from pipeline.models import Anomaly, Outcome
from tests.capture.test_plausibility import DAY, A, B, C, in_memory, numbers, taken
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, psv, row

KEY = PartitionKey(B, Tier.OTC)
Fields = list[str]


def published(
    key: PartitionKey,
    change: Callable[[Fields], Fields] = list,
    *,
    rows: Iterable[int] = range(120),
    force: bool = False,
) -> Result:
    """What becomes of a week of as many securities at an ATS, and half as many of a firm, once each line is changed."""
    updated = due_date(key.tier, key.week_ending).isoformat()
    ats = [row(f"S{n}", "AAAA", 1000 * key.week_ending.day + n, n + 1, updated=updated) for n in rows]
    firms = [
        row(f"S{n}", "", 1000 * key.week_ending.day - n, n + 1, name="Firm", updated=updated) for n in rows if n % 2
    ]
    source = MemorySource()
    source.publish(key, *(psv(*("|".join(change(line.split("|"))) for line in lines)) for lines in (ats, firms)))
    return ingest.ingest(key, source, Terms(run_date=DAY, force=force))


def lower(fields: Fields) -> Fields:
    return [fields[0], fields[1].lower(), *fields[2:]]


def another_venue(fields: Fields) -> Fields:
    return [*fields[:4], fields[4].lower(), *fields[5:]]


def issue_and_participant(fields: Fields) -> Fields:
    return [*fields[:2], fields[3], fields[2], *fields[4:]]


@pytest.mark.promise(14)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lower, "0 of 180 rows looked at (0%) have a symbol that the week ending 2025-11-14 has"),
        (another_venue, "0 of 120 rows looked at (0%) have an MPID that the week ending 2025-11-14 has"),
        (issue_and_participant, "0 of 180 rows looked at (0%) have an issue name that the week ending 2025-11-14 has"),
    ],
)
def test_names_that_no_week_around_knows_are_refused(
    ledger: Ledger, change: Callable[[Fields], Fields], said: str
) -> None:
    assert published(PartitionKey(A, Tier.OTC)).outcome == Outcome.INGESTED
    wrong = published(KEY, change)
    assert wrong.outcome == Outcome.REFUSED
    assert wrong.reason.startswith(f"{said}, and at least 50% are expected; check ")
    assert published(KEY).outcome == Outcome.INGESTED


@pytest.mark.parametrize(("first", "outcome"), [(60, Outcome.INGESTED), (61, Outcome.REFUSED)])
def test_half_of_the_symbols_may_be_new(ledger: Ledger, first: int, outcome: Outcome) -> None:
    assert published(PartitionKey(A, Tier.OTC)).outcome == Outcome.INGESTED
    assert published(KEY, rows=range(first, first + 120)).outcome == outcome


def test_one_odd_week_of_two_keeps_no_other_out(ledger: Ledger) -> None:
    assert published(PartitionKey(A, Tier.OTC)).outcome == Outcome.INGESTED
    assert published(PartitionKey(C, Tier.OTC), lower, force=True).outcome == Outcome.INGESTED
    assert published(KEY).outcome == Outcome.INGESTED


def test_a_half_that_no_week_around_has_is_told_by_none(ledger: Ledger) -> None:
    """Firms trade securities that no ATS does."""
    for week in (A, B):
        assert taken(week, in_memory(week, numbers(0, 100, week.day))).outcome == Outcome.INGESTED
    assert taken(B, in_memory(B, numbers(0, 100, B.day), firms=110)).outcome == Outcome.RESTATED
    assert taken(C, in_memory(C, numbers(0, 100, C.day), firms=110)).outcome == Outcome.INGESTED
    assert taken(A, in_memory(A, numbers(0, 100, A.day), firms=110)).outcome == Outcome.RESTATED


@pytest.mark.promise(14)
def test_trades_far_from_the_weeks_around_wait_for_a_person(ledger: Ledger) -> None:
    for week in (A, C):
        assert published(PartitionKey(week, Tier.OTC)).outcome == Outcome.INGESTED
    assert published(KEY, lambda fields: [*fields[:6], f"{fields[6]}000", fields[7]]).outcome == Outcome.INGESTED
    survey.survey(B, None)
    assert ": 10,920,000 trades, 100000% of the usual (plausible: 25-400%). If " in Anomaly.objects.open().get().message
