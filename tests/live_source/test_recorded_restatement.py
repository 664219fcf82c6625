"""The restatement that was recorded (finra.md, "Revisions"): TSLA, first week of November 2021, restated the next July."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from pytest_django import Settings

from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier, last_fridays
from pipeline.finra.sources.api.fields import SummaryType
from pipeline.models import Anomaly, Capture, Category, Listing, Outcome, Run, RunStatus, Severity
from pipeline.runs.request import Only, Request
from pipeline.runs.sources import source_of
from pipeline.vintages import read
from tests.fake_finra import Catalogue, FinraServer, Options, Restatement, Samples, Service, With
from tests.fake_finra.restatements import RECORDED, RECORDED_AFTER, RECORDED_BEFORE, RECORDED_KEY, RECORDED_ROWS, undo
from tests.fake_finra.rows import AT, Row
from tests.live_source import product
from tests.support.engines import Ledger
from tests.support.failing import failing_at

TIERS = (Tier.NMS_TIER_1,)
CAPTURED, LOOKED, RESTATED = date(2021, 12, 6), date(2022, 7, 11), date(2022, 7, 6)


@pytest.fixture
def finra(ledger: Ledger, settings: Settings) -> Iterator[FinraServer]:
    weeks = (RECORDED_KEY.week_ending, *last_fridays(12, LOOKED))
    origin = With(Samples(securities=1), RECORDED_ROWS)
    catalogue = Catalogue(weeks, origin, tiers=[Tier.NMS_TIER_1], restatements=[RECORDED])
    with FinraServer(Service(catalogue, Options(requests_per_second=None))) as server:
        product.point_at(server, settings)
        yield server


def captured(finra: FinraServer) -> Capture:
    """The week as it was read in December 2021."""
    with product.day(CAPTURED, finra):
        weeks = (RECORDED_KEY.week_ending,)
        product.run(Request(command="backfill", run_date=CAPTURED, weeks=weeks, tiers=TIERS, source="api"))
    return Capture.objects.get()


def tesla(capture: Capture) -> tuple[Decimal, int]:
    of_tesla = read.of_capture(capture).filter(pl.col("symbol") == "TSLA")
    return of_tesla.select(pl.col("shares", "trades").sum()).collect().row(0)


def look_back() -> Run:
    return product.run(Request(command="run_weekly", run_date=LOOKED, tiers=TIERS, source="api"))


def sweep() -> Run:
    return product.run(
        Request(
            command="probe_restatements",
            run_date=LOOKED,
            tiers=TIERS,
            lookback_weeks=52,
            only=Only.CAPTURED,
            probe=True,
            source="api",
        )
    )


def test_only_the_probe_sees_the_recorded_restatement(finra: FinraServer) -> None:
    before = captured(finra)
    assert tesla(before) == RECORDED_BEFORE

    with product.day(LOOKED, finra):
        looked = look_back()
        assert (looked.status, looked.partitions.filter(outcome=Outcome.INGESTED).count()) == (RunStatus.SUCCEEDED, 8)
        assert Capture.objects.filter(partition=before.partition).count() == 1

        swept = sweep()

    found = swept.partitions.exclude(outcome=Outcome.UNCHANGED).select_related("partition", "capture")
    (step,) = found
    after = step.capture
    assert after is not None
    assert (step.partition.key, step.outcome, swept.status) == (RECORDED_KEY, Outcome.RESTATED, RunStatus.SUCCEEDED)
    assert tesla(after) == RECORDED_AFTER
    assert (after.version, after.last_update_date, after.source_opinion) == (2, RESTATED, "newer")
    assert (after.rows_added, after.rows_changed, after.rows_removed) == (0, 1, 0)
    assert tesla(before) == RECORDED_BEFORE


def test_what_was_restated_late_is_told_with_what_moved_and_how_late(finra: FinraServer) -> None:
    captured(finra)
    with product.day(LOOKED, finra):
        sweep()
    anomaly = Anomaly.objects.get(category=Category.RESTATED_LATE)
    assert (anomaly.severity, anomaly.partition.key if anomaly.partition else None) == (Severity.INFO, RECORDED_KEY)
    assert anomaly.message == (
        "version 2, captured on 2022-07-11: restated on 2022-07-06, 226 days after publication on 2021-11-22, outside the "
        "look-back of 6 weeks. +0 rows, 1 changed, 0 gone; +52,328 shares, +52,331 trades. "
        "Biggest movers: TSLA at UBSA 40,000,000 -> 40,052,328 shares"
    )


def test_a_sweep_asks_three_questions_of_a_partition_that_did_not_move(finra: FinraServer) -> None:
    captured(finra)
    with product.day(date(2022, 7, 5), finra):
        finra.service.log.clear()
        swept = sweep()
    bodies = [entry.body for entry in finra.service.log.entries("weeklySummary") if isinstance(entry.body, dict)]
    assert [(body["limit"], [each["compareType"] for each in body["compareFilters"][2:]]) for body in bodies] == [
        (1, []),
        (1, ["GREATER"]),
        (1, ["EQUAL"]),
    ]
    assert {tuple(body["domainFilters"][0]["values"]) for body in bodies} == {tuple(SummaryType)}
    (step,) = swept.partitions.all()
    rows = Listing.objects.get().rows
    told = f"unchanged: {rows} rows, the last update on 2021-11-22 of {rows}, as held"
    assert (step.outcome, step.reason) == (Outcome.UNCHANGED, told)


class TotalRestated(Catalogue):
    """The recorded restatement of AAPL stood in a row by symbol: here one is restated, and no row by firm."""

    def rows(self, key: PartitionKey, today: date) -> tuple[Row, ...]:
        rows = super().rows(key, today)
        at = next(at for at, row in enumerate(rows) if row[AT["summaryTypeCode"]] == "OTC_W_SMBL")
        changed = list(rows[at])
        changed[AT["lastUpdateDate"]] = RESTATED.isoformat()
        return (*rows[:at], tuple(changed), *rows[at + 1 :]) if today >= RESTATED else rows


def test_a_sweep_sees_that_a_total_alone_was_restated(ledger: Ledger, settings: Settings) -> None:
    catalogue = TotalRestated([RECORDED_KEY.week_ending], Samples(securities=1), tiers=[Tier.NMS_TIER_1])
    with FinraServer(Service(catalogue, Options(requests_per_second=None))) as server:
        product.point_at(server, settings)
        captured(server)
        with product.day(LOOKED, server):
            server.service.log.clear()
            assert sweep().partitions.get().outcome == Outcome.UNCHANGED  # its rows by firm are as they were
            assert any(entry.rows > 1 for entry in server.service.log.entries("weeklySummary"))
            server.service.log.clear()
            assert sweep().partitions.get().reason.startswith("unchanged: ")
            asked = [entry for entry in server.service.log.entries("weeklySummary") if entry.method == "POST"]
            assert len(asked) == 3  # what was read once is not read again


@pytest.mark.promise(9)
def test_a_late_restatement_and_its_anomaly_are_stored_together(finra: FinraServer) -> None:
    captured(finra)
    api, terms = source_of(Request(command="sweep", run_date=LOOKED, source="api")), Terms(run_date=LOOKED)
    with product.day(LOOKED, finra):
        with failing_at("restatement.note.before", KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
            ingest.probe(RECORDED_KEY, api, terms)
        assert (Capture.objects.count(), Anomaly.objects.count()) == (1, 0)
        ingest.probe(RECORDED_KEY, api, terms)
    assert (Capture.objects.count(), Anomaly.objects.get().category) == (2, Category.RESTATED_LATE)


def test_a_reverted_restatement_is_found_and_named(finra: FinraServer) -> None:
    captured(finra)
    finra.service.catalogue.restate(Restatement(RECORDED_KEY, date(2022, 8, 1), undo))
    with product.day(LOOKED, finra):
        sweep()
    with product.day(date(2022, 8, 8), finra):
        product.run(
            Request(
                command="probe_restatements",
                run_date=date(2022, 8, 8),
                tiers=TIERS,
                weeks=(RECORDED_KEY.week_ending,),
                only=Only.CAPTURED,
                probe=True,
                source="api",
            )
        )
    newest = Capture.objects.filter(partition__week_ending=RECORDED_KEY.week_ending).order_by("-version")[0]
    assert (newest.version, tesla(newest), newest.source_opinion) == (3, RECORDED_BEFORE, "older")
    message = Anomaly.objects.order_by("-pk")[0].message
    assert message.startswith(
        "version 3, captured on 2022-08-08: no row has a newer lastUpdateDate, 259 days after publication"
    )
