"""The page that compares two captures, and its CSV."""

from __future__ import annotations

import csv
import io

import pytest
from django.test import Client
from django.urls import reverse

from pipeline.admin.spreadsheets import harmless
from pipeline.models import Capture
from tests.admin.vintages import SCRIPT, captured, signed_in, two_vintages
from tests.commands.publications import OTC, content
from tests.engines import Ledger
from tests.sources_in_memory import psv, row

pytestmark = pytest.mark.usefixtures("few_rows")

FORMULA = '=HYPERLINK("http://example.com")'


def difference_of(capture: Capture, query: str = "", page: str = "difference") -> str:
    return reverse(f"admin:pipeline_capture_{page}", args=[capture.pk]) + query


def lines(client: Client, url: str) -> list[list[str]]:
    response = client.get(url)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(response.getvalue().decode(), newline="")))


def test_it_is_compared_with_the_vintage_before_or_with_the_one_chosen(ledger: Ledger) -> None:
    first, second = two_vintages()
    third = captured(OTC, content(OTC))
    viewer = signed_in("Viewer")

    def context(capture: Capture, query: str = "") -> tuple[Capture, list[str]]:
        shown = viewer.get(difference_of(capture, query)).context
        return shown["before"], [line.change.kind for line in shown["changes"]]

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


def test_the_only_capture_and_rows_that_are_not_stored_say_so(ledger: Ledger) -> None:
    first = captured(OTC, content(OTC))
    viewer = signed_in("Viewer")
    assert "the only capture of its partition" in viewer.get(difference_of(first)).content.decode()
    assert viewer.get(difference_of(first, page="difference_csv")).status_code == 404

    archived = captured(OTC, content(OTC)[:-1], normalize=False, force=True)
    assert "its rows are not stored yet" in viewer.get(difference_of(archived)).content.decode()
    assert viewer.get(difference_of(archived, page="difference_csv")).status_code == 404


def test_names_from_outside_are_escaped_on_the_page_and_harmless_in_the_csv(ledger: Ledger) -> None:
    rows = [row("AAPL", "UBSA", 9)]
    captured(OTC, psv(*rows))
    second = captured(OTC, psv(*rows), psv(row("+ADD", "", 3, name=SCRIPT, issue=FORMULA)))
    viewer = signed_in("Viewer")

    shown = viewer.get(difference_of(second)).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert SCRIPT not in shown
    _, line = lines(viewer, difference_of(second, page="difference_csv"))
    assert line[:9] == ["added", "'+ADD", f"'{FORMULA}", "", "", SCRIPT, "", "", "3"]
    assert SCRIPT not in viewer.get(reverse("admin:pipeline_capture_movement", args=[second.pk])).content.decode()


def test_the_csv_has_every_row_with_its_figures_before_and_after(ledger: Ledger) -> None:
    _, second = two_vintages()

    head, *rows = lines(signed_in("Viewer"), difference_of(second, "?with=1", "difference_csv"))

    assert head[:5] == ["change", "symbol", "issue_name", "mpid", "crd"]
    assert [[row[0], row[1], *row[7:11]] for row in rows] == [
        ["added", "NEWW", "", "7.5", "", "1"],
        ["removed", "ZZZZ", "4", "", "1", ""],
        ["changed", "AAPL", "100.5", "101.000001", "3", "3"],
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_cell_that_would_start_a_formula_gets_an_apostrophe(start: str) -> None:
    assert harmless(f"{start}1+1") == f"'{start}1+1"
    assert harmless("1=1") == "1=1"
