"""Rows that are odd and kept, fields that are new, and replies that are archived before they are judged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
import time_machine

from pipeline.capture import ingest
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.sources.api.pages import unpack_pages
from pipeline.models import Anomaly, Capture, Category, Outcome, Reject, Severity, Stage
from pipeline.vintages import archive
from tests.fake_finra import Catalogue, Fault, FinraServer, Kind, Options, Restatement, Samples, Service
from tests.fake_finra.rows import FirmRow, FirmRows
from tests.finra.sources.api.asking import client_of
from tests.live_source import product
from tests.support.engines import Ledger

KEY = PartitionKey(date(2025, 10, 3), Tier.NMS_TIER_1)
OTHER = PartitionKey(date(2025, 10, 3), Tier.NMS_TIER_2)
DAY = date(2025, 11, 3)
FIRMS = {"summaryTypeCode": "ATS_W_SMBL_FIRM"}


@pytest.fixture
def server(ledger: Ledger) -> Iterator[FinraServer]:
    catalogue = Catalogue([KEY.week_ending], Samples(securities=3))
    with (
        FinraServer(Service(catalogue, Options(requests_per_second=None, max_limit=30), today=DAY)) as running,
        time_machine.travel(DAY),
    ):
        yield running


def fetched(server: FinraServer, key: PartitionKey = KEY) -> Result:
    return ingest.ingest(key, client_of(server), Terms(run_date=DAY))


def value(named: str, figure: str) -> Fault:
    return Fault(Kind.VALUE, 1, named=named, figure=figure, equal=FIRMS)


@pytest.mark.parametrize(
    ("fault", "odd"),
    [
        (
            value("totalNotionalSum", '"n/a"'),
            "1 rows with a totalNotionalSum that cannot be read, which they are kept without",
        ),
        (value("totalNotionalSum", "-5"), "1 rows with a totalNotionalSum that cannot be read"),
        (value("summaryStartDate", '"2025-09-22"'), "1 rows with the summaryStartDate of another week"),
        (value("lastUpdateDate", '"2025-10-02"'), "1 rows with a lastUpdateDate before the end of the week"),
        (value("tierDescription", '"NMS Tier 9"'), "1 rows with a tierDescription that is not the tier's"),
        (value("tierDescription", '"OTC"'), "1 rows with a tierDescription that is not the tier's"),
    ],
    ids=["notional no number", "notional negative", "another week", "too early", "no tier", "another tier"],
)
def test_an_odd_row_is_kept_and_told(server: FinraServer, fault: Fault, odd: str) -> None:
    server.service.faults.add(replace(fault))
    result = fetched(server)
    rows = len(server.service.catalogue.firm_rows(KEY, DAY))
    assert (result.outcome, Capture.objects.get().rows_kept, Reject.objects.count()) == (Outcome.INGESTED, rows, 0)
    told = Anomaly.objects.get(category=Category.ODD_ROWS)
    assert (told.severity, told.message[: len(odd)]) == (Severity.WARN, odd)


def test_new_fields_stop_nothing_and_are_told_once(server: FinraServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.service.faults.add(Fault(Kind.UNKNOWN_FIELD, None))
    assert [fetched(server, key).outcome for key in (KEY, OTHER)] == [Outcome.INGESTED] * 2
    told = Anomaly.objects.get()
    assert (told.category, told.severity, told.concerns_week) == (Category.UNKNOWN_FIELDS, Severity.WARN, None)
    assert "venueColour" in told.message
    held = archive.get(Capture.objects.filter(partition__tier=KEY.tier).get().payload_sha256)
    assert b"venueColour" in b"".join(unpack_pages(held))


@pytest.mark.parametrize("fault", [Kind.ROW_TWICE, Kind.REPEATED_ROW], ids=["counted", "not counted"])
@pytest.mark.promise(11)
def test_a_row_that_comes_twice_in_one_reply_is_one_reject(server: FinraServer, fault: Kind) -> None:
    server.service.options = Options(requests_per_second=None)
    server.service.faults.add(Fault(fault, None, equal=FIRMS))
    result = fetched(server)
    rows = len(server.service.catalogue.firm_rows(KEY, DAY))
    assert (result.outcome, Capture.objects.get().rows_kept) == (Outcome.INGESTED, rows)
    assert list(Reject.objects.values_list("part", "reason")) == [("ATS_W_SMBL_FIRM", "DUPLICATE_KEY")]
    assert [anomaly.category for anomaly in Anomaly.objects.all()] == [Category.REJECTED_ROWS]


def test_a_missing_field_fails_the_partition_and_all_that_came_is_archived(server: FinraServer) -> None:
    server.service.faults.add(Fault(Kind.MISSING_FIELD, 1))
    result = fetched(server)
    assert (result.outcome, Capture.objects.count()) == (Outcome.FAILED, 0)
    told = Anomaly.objects.get()
    assert "rows lack totalWeeklyTradeCount" in told.message
    bodies = list(unpack_pages(archive.get(told.payload_sha256)))
    rows = sum(len(re.findall(rb'"weekStartDate"', body)) for body in bodies)
    assert rows == sum(entry.rows for entry in server.service.log.entries("weeklySummary"))


def test_a_reply_without_rows_is_archived_as_it_came(server: FinraServer) -> None:
    server.service.faults.add(Fault(Kind.ERROR_IN_200, 1))
    assert fetched(server).outcome == Outcome.FAILED
    bodies = list(unpack_pages(archive.get(Anomaly.objects.get().payload_sha256)))
    assert b'{"statusCode":200,"message":"No data found for specified dataset request"}' in bodies


def two_crds(vintages: Sequence[FirmRows], day: str) -> FirmRows:
    """The first ATS row a second time, under another CRD number."""
    first, *rest = vintages[-1]
    other = FirmRow(**{name: getattr(first, name) for name in FirmRow.__slots__} | {"crd": 7, "shares": Decimal(11)})
    return (first, other, *rest)


def test_one_mpid_under_two_crd_numbers_is_two_rows(server: FinraServer) -> None:
    server.service.catalogue.restate(Restatement(KEY, DAY, two_crds))
    assert fetched(server).outcome == Outcome.INGESTED
    first, other, *_ = server.service.catalogue.firm_rows(KEY, DAY)
    assert (first.mpid, Reject.objects.count()) == (other.mpid, 0)
    assert len(product.held(KEY)) == len(server.service.catalogue.firm_rows(KEY, DAY))
    assert {(row[2], row[6]) for row in product.held(KEY)} >= {(first.mpid, first.shares), (first.mpid, Decimal(11))}


@pytest.mark.parametrize(
    ("difference", "outcome"),
    [("0.000001", 0), ("0.999999", 0), ("-0.999999", 0), ("1", 1), ("-1", 1)],
)
def test_totals_agree_when_less_than_one_share_is_between_them(
    server: FinraServer, difference: str, outcome: int
) -> None:
    rows = [row for row in server.service.catalogue.rows(KEY, DAY) if row[16] == "ATS_W_SMBL"]
    total = Decimal(str(rows[0][0])) + Decimal(difference)
    server.service.faults.add(Fault(Kind.VALUE, None, figure=str(total), equal={"summaryTypeCode": "ATS_W_SMBL"}))
    assert fetched(server).outcome == Outcome.INGESTED
    assert Anomaly.objects.filter(category=Category.UNRECONCILED, stage=Stage.NORMALIZED).count() == outcome
    whole = len(server.service.log.entries("weeklySummary"))
    assert (whole > len({str(entry.body) for entry in server.service.log.entries("weeklySummary")})) == bool(outcome)
