"""Texts for a person: a sentence begins with a capital, and a name is never changed."""

from __future__ import annotations

import pytest

from pipeline.finra.plain_text import capitalized

NAMES = [
    "finra.otc_transparency:OTC:2026-10-23:20261130 was annulled",
    "otc_week_2026-10-23.psv is cut",
    "as_of: a day",
]


@pytest.mark.parametrize("name", [*NAMES, "2026-10-23 OTC: open", "source: gone", "5 rows", ""])
def test_a_name_at_the_beginning_stays_as_it_is(name: str) -> None:
    assert capitalized(name) == name


@pytest.mark.parametrize(
    "text", ["not in the answer: OTC", "re-ingest", "restated", "rows, of which", "a later capture"]
)
def test_a_word_at_the_beginning_gets_a_capital(text: str) -> None:
    assert capitalized(text) == text[0].upper() + text[1:]
