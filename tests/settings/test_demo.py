"""When `make run` and `make serve` show the demo, and what they say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketspine.demo import CHOSEN, CONFIGURES, FIRST, FRESH, first_words, is_demo


def test_a_fresh_clone_shows_the_demo_and_says_so(tmp_path: Path) -> None:
    assert is_demo({"HOME": "/"}, tmp_path / "var")
    assert first_words({}, tmp_path / "var") == FIRST
    (tmp_path / "var" / "source").mkdir(parents=True)
    (tmp_path / "var" / "source" / ".gitkeep").touch()
    assert is_demo({}, tmp_path / "var")


def test_after_the_demo_it_is_shown_again(tmp_path: Path) -> None:
    (tmp_path / "demo" / "archive").mkdir(parents=True)
    (tmp_path / "demo" / "marketspine.sqlite3").touch()
    assert is_demo({}, tmp_path)


@pytest.mark.parametrize("name", [*CONFIGURES, *(f"{name}_FILE" for name in CONFIGURES)])
def test_nothing_is_invented_once_something_is_configured(tmp_path: Path, name: str) -> None:
    assert not is_demo({name: ""}, tmp_path)
    assert first_words({name: "x"}, tmp_path) == ""


@pytest.mark.parametrize(
    "own", ["marketspine.sqlite3", "archive", "source/notes.txt", "source/otc_week_2025-11-14.psv.gz"]
)
def test_nothing_is_invented_beside_what_is_ones_own(tmp_path: Path, own: str) -> None:
    (tmp_path / own).parent.mkdir(exist_ok=True)
    (tmp_path / own).touch()
    assert not is_demo({}, tmp_path)


def test_an_emptied_inbox_makes_no_ledger_a_demo(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "marketspine.sqlite3").touch()
    assert not is_demo({}, tmp_path)


@pytest.mark.parametrize(("asked", "shown"), [("1", True), ("true", True), ("ON", True), ("0", False), ("", False)])
def test_who_asks_is_answered(tmp_path: Path, asked: str, shown: bool) -> None:
    (tmp_path / "archive").mkdir()
    assert is_demo({"MARKETSPINE_DEMO": asked}, tmp_path) is shown
    assert first_words({"MARKETSPINE_DEMO": asked}, tmp_path) == (CHOSEN if shown else "")


def test_ones_first_ledger_after_the_demo_is_announced_once(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "otc_week_2025-11-14.psv").touch()
    assert first_words({}, tmp_path) == FRESH
    (tmp_path / "marketspine.sqlite3").touch()
    assert first_words({}, tmp_path) == ""
