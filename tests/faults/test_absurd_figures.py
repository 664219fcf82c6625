"""Figures that FINRA cannot mean: one costs its row, or its total, and never the partition."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
import time_machine

from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Anomaly, Capture, Manifest, Outcome, Reject, Stage
from tests.fake_finra import Catalogue, Fault, FinraServer, Kind, Options, Samples, Service
from tests.finra.sources.api.asking import client_of
from tests.support.engines import Ledger

KEY = PartitionKey(date(2025, 10, 3), Tier.NMS_TIER_1)
DAY = date(2025, 10, 27)


@pytest.fixture
def server(ledger: Ledger) -> Iterator[FinraServer]:
    catalogue = Catalogue([KEY.week_ending], Samples(securities=3))
    with (
        FinraServer(Service(catalogue, Options(requests_per_second=None), today=DAY)) as running,
        time_machine.travel(DAY),
    ):
        yield running


def fetched(server: FinraServer, figure: str, summary_type: str) -> None:
    """Ingest the week with `figure` for the first share quantity of a summary type."""
    server.service.faults.add(Fault(Kind.VALUE, None, figure=figure, equal={"summaryTypeCode": summary_type}))
    result = ingest.ingest(KEY, client_of(server), Terms(run_date=DAY))
    assert result.outcome == Outcome.INGESTED, result.reason


@pytest.mark.promise(3, 11)
@pytest.mark.parametrize(
    ("figure", "reason"),
    [
        ("10.1234567", "BAD_SHARES"),
        ("1e-7", "BAD_SHARES"),
        ("1e400", "BAD_SHARES"),
        ("-1e400", "BAD_SHARES"),
        ("1e30", "TOO_LARGE"),
        ("1" * 5000, "BAD_SHARES"),
        ("0." + "1" * 5000, "BAD_SHARES"),
        ("-10.5", "NEGATIVE_SHARES"),
        ("NaN", "BAD_SHARES"),
        ("Infinity", "BAD_SHARES"),
        ('"NaN"', "BAD_SHARES"),
        ("null", "BAD_SHARES"),
        ("[1]", "BAD_SHARES"),
    ],
    ids=lambda text: text[:12],
)
def test_a_row_whose_shares_cannot_be_is_one_reject(server: FinraServer, figure: str, reason: str) -> None:
    rows = len(server.service.catalogue.firm_rows(KEY, DAY))

    fetched(server, figure, "ATS_W_SMBL_FIRM")

    capture = Capture.objects.get()
    assert (capture.rows_in, capture.rows_kept, capture.rows_rejected) == (rows, rows - 1, 1)
    assert list(Reject.objects.values_list("part", "line", "reason")) == [("ATS_W_SMBL_FIRM", 1, reason)]


@pytest.mark.parametrize(
    "figure",
    ["45030.1234567", "45030.12345678901234567891", "1e400", "1e30", "-5", "NaN", '"NaN"', "null", "1" * 5000, "1e-39"],
    ids=lambda text: text[:12],
)
def test_a_total_that_cannot_be_costs_no_row(server: FinraServer, figure: str) -> None:
    rows = len(server.service.catalogue.firm_rows(KEY, DAY))

    fetched(server, figure, "ATS_W_SMBL")

    capture = Capture.objects.get()
    assert (capture.rows_kept, capture.rows_rejected) == (rows, 0)
    assert list(Anomaly.objects.values_list("category", flat=True)) == ["UNRECONCILED"]


def test_a_total_of_seven_places_is_kept_as_it_is(server: FinraServer) -> None:
    fetched(server, "45030.1234567", "ATS_W_SMBL")

    (told,) = Anomaly.objects.values_list("message", flat=True)
    which, _, figures = told.partition("the largest: ")
    symbol = figures.split()[0]
    others = [row for row in server.service.catalogue.firm_rows(KEY, DAY) if not (row.is_ats and row.symbol == symbol)]
    manifest = Manifest.objects.get(stage=Stage.NORMALIZED)
    assert which == "1 of 6 symbols do not add up to FINRA's totals; "
    assert "total 45,030.1234567 / " in figures
    assert manifest.control_shares == sum(Decimal(row.shares) for row in others) + Decimal("45030.1234567")
    assert manifest.control_differing == 1


@pytest.mark.parametrize("symbol", ["1234", "null", "true"])
def test_a_symbol_of_another_type_costs_no_partition(server: FinraServer, symbol: str) -> None:
    server.service.faults.add(
        Fault(Kind.VALUE, None, named="issueSymbolIdentifier", figure=symbol, equal={"summaryTypeCode": "ATS_W_SMBL"})
    )
    assert ingest.ingest(KEY, client_of(server), Terms(run_date=DAY)).outcome == Outcome.INGESTED
    assert Capture.objects.get().rows_rejected == 0
