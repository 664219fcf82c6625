"""Cursors: what goes in comes out, with its types; what was changed is refused."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from urllib.parse import quote

import pytest
from django.core import signing
from pytest_django import Settings

from pipeline.api.cursors import SALT, BadCursor, Cursor, digest, opened

PLACE = ("2026-10-23", "NMS_TIER_1", "BRK.B", 'Inc., "Class" B \u2028', "", None, 7, 0.5, True)
CURSOR = Cursor(PLACE, 8841, date(2026, 11, 25), "a question", "inputs")


def test_a_cursor_comes_back_with_its_types() -> None:
    back = opened(CURSOR.sealed())
    assert back == CURSOR
    assert [type(value) for value in back.after] == [type(value) for value in PLACE]


def test_the_same_place_has_the_same_cursor_which_an_address_holds_as_it_is() -> None:
    assert CURSOR.sealed() == opened(CURSOR.sealed()).sealed()
    assert quote(CURSOR.sealed(), safe="") == CURSOR.sealed()


def test_a_cursor_of_a_walk_without_a_position() -> None:
    cursor = Cursor((1,), None, date(2026, 11, 25), "q", "i")
    assert opened(cursor.sealed()) == cursor


def test_a_changed_cursor_is_refused(settings: Settings) -> None:
    text = CURSOR.sealed()
    for at in range(0, len(text), 7):
        with pytest.raises(BadCursor):
            opened(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    settings.SECRET_KEY = "another key of at least fifty characters, by which nothing was signed"
    with pytest.raises(BadCursor):
        opened(text)


@pytest.mark.parametrize("text", ["", "x", "~", "a~b~c", "a:b:c", "\0", "é", "9" * 100_000])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        opened(text)


@pytest.mark.parametrize(
    "plain", [[], {}, {"after": 1}, {"after": [["x"]], "on_day": "2026-11-25"}, {"after": [], "on_day": "x"}]
)
def test_what_was_signed_for_something_else_is_refused(plain: object) -> None:
    with pytest.raises(BadCursor):
        opened(signing.Signer(salt=SALT, sep="~").sign_object(plain))
    with pytest.raises(BadCursor):
        opened(signing.Signer(salt="another", sep="~").sign_object(asdict(CURSOR) | {"on_day": "2026-11-25"}))


def test_digests_tell_where_a_text_ends() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"]) != digest(["a", "b", "c"])
    assert digest(["ab", "c"]) == digest(("ab", "c"))
