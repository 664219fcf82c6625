"""The page that compares two captures, and its downloads."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from pipeline import readers
from pipeline.models import Capture, Partition, capture_id_for
from tests.admin.vintages import SCRIPT, signed_in
from tests.support.engines import Ledger
from tests.vintages.frames import DAY, KEY, PAYLOAD, stored

KNOWN = datetime(2025, 12, 15, 16, tzinfo=UTC)
ROWS = (("AAPL", "UBSA", "100.5", 3), ("AAPL", "SGMT", "50", 2), ("MSFT", "UBSA", "25.25", 1), ("ZZZZ", "SGMT", "4", 1))
RESTATED = (("AAPL", "UBSA", "101.000001", 3), ROWS[1], ROWS[2], ("+EWW", SCRIPT, "7.5", 1))


def two_vintages() -> tuple[Capture, Capture]:
    """Four rows, then one changed, one added, one removed."""
    return stored(ROWS, KNOWN), stored(RESTATED, KNOWN)


def archived() -> Capture:
    """A capture whose rows are not stored yet."""
    partition = Partition.objects.get()
    return Capture.objects.create(
        partition=partition,
        version=partition.newest_version + 1,
        capture_id=capture_id_for(KEY, DAY, partition.newest_version + 1),
        kind="RESTATEMENT",
        cause="SOURCE",
        captured_on=DAY,
        captured_at=KNOWN,
        payload_sha256=PAYLOAD,
        payload_bytes=1,
        parser_version=1,
        rows_in=0,
        rows_kept=0,
        rows_rejected=0,
        rows_non_ats=0,
        shares=0,
        shares_non_ats=0,
        trades=0,
    )


def difference_of(capture: Capture, query: str = "", page: str = "difference") -> str:
    return reverse(f"admin:pipeline_capture_{page}", args=[capture.pk]) + query


def lines(client: Client, url: str) -> list[list[str]]:
    response = client.get(url)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(response.getvalue().decode(), newline="")))


def test_it_is_compared_with_the_vintage_before_or_with_the_one_chosen(ledger: Ledger) -> None:
    first, second = two_vintages()
    third = stored(ROWS, KNOWN)
    viewer = signed_in("Viewer")

    def context(capture: Capture, query: str = "") -> tuple[Capture, list[str]]:
        shown = viewer.get(difference_of(capture, query)).context
        return shown["before"], [line.record["change"] for line in shown["changes"]]

    assert context(third) == (second, ["removed", "added", "changed"])
    assert context(third, "?with=1") == (first, [])
    assert context(first, "?with=2") == (second, ["removed", "added", "changed"])
    assert context(second, "?with=1&kind=removed") == (first, ["removed"])
    assert context(second, "?with=1&kind=removed&page=7") == (first, ["removed"])


def test_what_there_is_not_to_compare_with_is_not_found(ledger: Ledger) -> None:
    _, second = two_vintages()
    viewer = signed_in("Viewer")

    for query in ("?with=2", "?with=9", f"?with={'9' * 30}", "?with=-1", "?with=one", "?with=1&kind=odd"):
        assert viewer.get(difference_of(second, query)).status_code == 404, query


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_only_capture_and_rows_that_are_not_stored_say_so(ledger: Ledger, form: str) -> None:
    first = stored(ROWS, KNOWN)
    viewer = signed_in("Viewer")
    assert "the only capture of its partition" in viewer.get(difference_of(first)).content.decode()
    assert viewer.get(difference_of(first, page=f"difference_{form}")).status_code == 404

    second = archived()
    assert "its rows are not stored yet" in viewer.get(difference_of(second)).content.decode()
    assert viewer.get(difference_of(second, page=f"difference_{form}")).status_code == 404


def test_a_lost_vintage_file_is_a_sentence_with_what_repairs_it(ledger: Ledger) -> None:
    first, second = two_vintages()
    default_storage.delete(first.vintage_path)
    viewer = signed_in("Viewer")

    for page, status in (("difference", 200), ("difference_csv", 409), ("difference_parquet", 409)):
        answer = viewer.get(difference_of(second, page=page))
        assert answer.status_code == status
        assert f"{first}: its vintage file is missing" in answer.content.decode()
        assert "rebuild_vintages" in answer.content.decode()


def test_names_from_outside_are_harmless_on_page_and_csv(ledger: Ledger) -> None:
    _, second = two_vintages()
    viewer = signed_in("Viewer")

    shown = viewer.get(difference_of(second)).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert SCRIPT not in shown
    _, line, *_ = lines(viewer, difference_of(second, page="difference_csv"))
    assert line[3:13] == ["added", "NON_ATS", "'+EWW", "'+EWW Inc", "", "", SCRIPT, "", "", "7.5"]


def test_the_csv_has_every_row_with_its_figures_before_and_after(ledger: Ledger) -> None:
    _, second = two_vintages()

    head, *rows = lines(signed_in("Viewer"), difference_of(second, "?with=1", "difference_csv"))

    assert head == list(readers.DATASETS["differences"].names)
    told = [head.index(f"{name}_{side}") for name in ("shares", "trades") for side in ("before", "after")]
    assert [[row[3], row[5], *(row[at] for at in told)] for row in rows] == [
        ["added", "'+EWW", "", "7.5", "", "1"],
        ["removed", "ZZZZ", "4", "", "1", ""],
        ["changed", "AAPL", "100.5", "101.000001", "3", "3"],
    ]


def test_the_parquet_file_has_the_same_rows_with_their_types(ledger: Ledger) -> None:
    _, second = two_vintages()

    answer = signed_in("Viewer").get(difference_of(second, page="difference_parquet"))

    found = pl.read_parquet(io.BytesIO(answer.content))
    assert found.select("change", "symbol", "shares_before", "shares_after").rows() == [
        ("added", "+EWW", None, Decimal("7.5")),
        ("removed", "ZZZZ", Decimal(4), None),
        ("changed", "AAPL", Decimal("100.5"), Decimal("101.000001")),
    ]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="difference_OTC_2025-11-14_v1_v2.parquet"'
