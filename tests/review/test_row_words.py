"""What the words of a search find."""

from __future__ import annotations

import polars as pl
import pytest

from pipeline.review.row_words import issue_is_named, listed, symbol_begins, symbol_is, venue_is, venue_is_named

ROWS = pl.DataFrame(
    [
        ("AMBR", "Amber Inc", "UBSA", "", "UBS ATS"),
        ("AMBR.B", "Amber Inc Class B", "", "149", "UBS SECURITIES LLC"),
        ("ambr", "(Other)", "SGMT", "", "SIGMA X2"),
        ("AMBS", "", "", "", "De Minimis Firms"),
        ("", "No Symbol", "TWO", "7", ".*"),
    ],
    ["symbol", "issue_name", "mpid", "crd", "venue_name"],
    orient="row",
)


def found(condition: pl.Expr) -> list[str]:
    return ROWS.filter(condition)["symbol"].to_list()


@pytest.mark.parametrize(
    ("condition", "symbols"),
    [
        (symbol_is("AMBR"), ["AMBR"]),
        (symbol_is("ambr"), ["AMBR", "ambr"]),
        (symbol_is("AMB"), []),
        (symbol_begins("ambr"), ["AMBR", "AMBR.B"]),
        (symbol_begins("AMB"), ["AMBR", "AMBR.B", "AMBS"]),
        (venue_is("ubsa"), ["AMBR"]),
        (venue_is("149"), ["AMBR.B"]),
        (venue_is("UBS"), []),
        (venue_is_named("ubs"), ["AMBR", "AMBR.B"]),
        (venue_is_named("Minimis"), ["AMBS"]),
        (venue_is_named(".*"), [""]),
        (issue_is_named("class b"), ["AMBR.B"]),
        (issue_is_named("("), ["ambr"]),
    ],
    ids=str,
)
def test_a_word_finds_what_a_person_means_by_it(condition: pl.Expr, symbols: list[str]) -> None:
    assert found(condition) == symbols


def test_many_names_are_cut_short_with_a_count() -> None:
    assert listed(["A", "B"]) == "A, B"
    assert listed([str(number) for number in range(1012)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 1,002 more"
