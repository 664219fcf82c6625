"""No READY on a half, a tier or a volume that cannot be: what is right about the rest of a payload does not hide it."""

from __future__ import annotations

from datetime import date

import pytest
from pytest_django import Settings

from pipeline.capture import ingest, survey
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier, due_date
from pipeline.models import Anomaly, Capture, Category, Outcome, ReadinessState, Use
from pipeline.weeks import analytics, readiness
from tests.capture.test_plausibility import DAY, A, B, in_memory, numbers, taken
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, psv, row

KEY, FIRMS = PartitionKey(B, Tier.OTC), 20


def halves(ats: date, firms: date | None, *, firms_dated: date | None = None) -> MemorySource:
    """B's publication: 100 ATS rows of the week `ats`, and non-ATS rows of the week `firms`; all dated as published."""

    def lines(week: date, number: int, mpid: str, dated: date) -> list[str]:
        updated = due_date(Tier.OTC, dated).isoformat()
        return [
            row(f"S{n}", mpid, week.toordinal() * 10 + n, name="" if mpid else "Firm", updated=updated)
            for n in range(number)
        ]

    source = MemorySource()
    others = psv(*lines(firms, FIRMS, "", firms_dated or firms)) if firms else None
    source.publish(KEY, psv(*lines(ats, 100, "AAAA", ats)), others)
    return source


@pytest.mark.promise(14)
@pytest.mark.parametrize("held", [False, True], ids=["first capture", "the half comes later"])
def test_the_small_half_of_another_week_is_known_by_its_dates(ledger: Ledger, held: bool) -> None:
    if held:
        assert taken(B, halves(B, None)).outcome == Outcome.INGESTED
    wrong = taken(B, halves(B, A))
    assert wrong.outcome == Outcome.REFUSED
    assert wrong.reason.startswith(
        "the dates of the non-ATS file speak of the week ending 2025-11-14: 20 of 20 rows were last updated on 2025-12-15"
    )
    assert taken(B, halves(B, B)).outcome == (Outcome.RESTATED if held else Outcome.INGESTED)


@pytest.mark.promise(14)
def test_the_small_half_of_a_captured_week_is_known_by_its_rows(ledger: Ledger) -> None:
    other = MemorySource()
    other.payloads[PartitionKey(A, Tier.OTC)] = halves(A, A).payloads[KEY]
    assert taken(A, other).outcome == Outcome.INGESTED
    wrong = taken(B, halves(B, A, firms_dated=B))
    assert wrong.outcome == Outcome.REFUSED
    assert wrong.reason.startswith("this is the week ending 2025-11-14 again: 20 of 20 non-ATS rows (100%) of ")


def of_tier(tier: Tier, number: int) -> Result:
    """What becomes of the same rows under a tier's name."""
    key, source, updated = PartitionKey(B, tier), MemorySource(), due_date(tier, B).isoformat()
    source.publish_rows(key, [row(f"S{n}", "AAAA", 1000 + n, tier=tier, updated=updated) for n in range(number)])
    return ingest.ingest(key, source, Terms(run_date=DAY))


@pytest.mark.promise(14)
@pytest.mark.parametrize(("number", "outcome"), [(99, Outcome.INGESTED), (100, Outcome.REFUSED)])
def test_a_hundred_rows_of_another_tier_are_that_tier(ledger: Ledger, number: int, outcome: Outcome) -> None:
    assert of_tier(Tier.NMS_TIER_1, number).outcome == Outcome.INGESTED
    second = of_tier(Tier.NMS_TIER_2, number)
    assert second.outcome == outcome
    if outcome == Outcome.REFUSED:
        assert second.reason.startswith(
            "this is NMS_TIER_1 of the week ending 2025-11-07 again: 100 of 100 rows (100%)"
        )


@pytest.mark.promise(4, 14)
@pytest.mark.parametrize(
    ("others", "shares", "outcome"),
    [
        (98, {"BIG1": 0, "BIG2": 109}, Outcome.REFUSED),  # 601 of 1,200 shares go
        (98, {"BIG1": 1, "BIG2": 109}, Outcome.RESTATED),  # 600, which is half
        (98, {"BIG1": 1201}, Outcome.REFUSED),  # 601 come
        (97, {"BIG1": 1201}, Outcome.RESTATED),  # a handful of rows
    ],
)
def test_a_restatement_moves_half_of_the_shares_at_most(
    ledger: Ledger, others: int, shares: dict[str, int], outcome: Outcome
) -> None:
    held = {"BIG1": 600, "BIG2": 600 - 5 * others} | {f"S{n}": 5 for n in range(others)}
    assert taken(A, in_memory(A, held)).outcome == Outcome.INGESTED
    restated = taken(A, in_memory(A, held | shares))
    assert restated.outcome == outcome
    if outcome == Outcome.REFUSED:
        assert restated.reason.startswith("moves 601 shares where 1,200 shares are held, more than the 50% allowed: ")


@pytest.mark.promise(14)
def test_rows_of_a_day_to_come_are_refused_and_before_the_due_date_no_week_is_ready(ledger: Ledger) -> None:
    week = date(2040, 1, 6)
    assert taken(week, in_memory(week, numbers(0, 100))).reason.startswith(
        "the dates of 2040-01-06 OTC speak of no week: 100 of 100 rows were last updated on 2040-02-06, and today is "
    )
    for tier in Tier:
        source, key = MemorySource(), PartitionKey(week, tier)
        source.publish_rows(key, [row("S", "AAAA", tier.publication_lag.days, tier=tier)])
        assert ingest.ingest(key, source, Terms(run_date=DAY, force=True)).outcome == Outcome.INGESTED
    analytics.calculate_week(week)
    Anomaly.objects.update(resolved_at=DAY.isoformat() + " 00:00Z", resolved_by="me", note="looked at")
    for day in (date(2040, 2, 5), date(2040, 2, 6)):  # the day before, and the day itself: nobody has looked since
        states = {use: verdict.state for use, verdict in readiness.decide_week(week, day).items()}
        assert states == {
            Use.TRADING: ReadinessState.AWAITING_PUBLICATION,
            Use.COMPLIANCE: ReadinessState.AWAITING_PUBLICATION,
            Use.RESEARCH: ReadinessState.PROVISIONAL,
        }


@pytest.mark.promise(14)
def test_a_half_that_the_settings_ask_for_after_its_capture_is_missing(ledger: Ledger, settings: Settings) -> None:
    assert taken(B, halves(B, None)).outcome == Outcome.INGESTED
    assert survey.survey(B, None) == []
    assert not Anomaly.objects.exists()
    settings.MARKETSPINE_EXPECTED_PARTS = ["ats", "non-ats"]
    survey.survey(B, None)
    said = Anomaly.objects.open().get(category=Category.IMPLAUSIBLE)
    assert said.message.startswith(f"{Capture.objects.get()} is unlike what is expected of a week: no non-ATS rows.")
