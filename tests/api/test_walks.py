"""Walks over pages: each row once, in order, as of the instant of the first page, whatever lands meanwhile."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.api.cursors import Cursor, opened
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture
from pipeline.vintages import read
from tests.admin.vintages import captured
from tests.api.asking import FOR_EVER, Script, viewer
from tests.faults.extent import EVERYTHING
from tests.management.publications import WEEK, content
from tests.support.engines import Begin
from tests.support.sources_in_memory import psv, row

pytestmark = pytest.mark.usefixtures("few_rows")
LARGE = PartitionKey(WEEK, Tier.NMS_TIER_2)
SMALL = PartitionKey(WEEK, Tier.OTC)
ROWS = 168_000 if EVERYTHING else 2_500
NAMES = ("symbol", "issue_name", "mpid", "crd", "venue_name", "product_type", "shares")


def lines(number: int, more: int) -> list[str]:
    """So many rows, many of a symbol, some of them with the same everything but the venue; `more` shares in each third."""
    return [_row(at, more if at % 3 == 0 else 0) for at in range(number)]


def _row(at: int, more: int) -> str:
    updated = date(2025, 12, 15 + more).isoformat()
    return row(f"S{at // 17}", f"V{at % 17:03}", f"{at + more}.5", tier=LARGE.tier, updated=updated)


@pytest.fixture
def script(begin: Begin) -> Script:
    """A Viewer's script; two partitions are captured, a large one and one of four rows."""
    begin(two_partitions)
    return viewer()


def two_partitions(_folder: Path) -> None:
    captured(LARGE, psv(*lines(ROWS, 0)), compute=False)
    captured(SMALL, content(SMALL), compute=False)


def of_ledger(capture: Capture) -> list[tuple[Any, ...]]:
    """The rows of a vintage, in the order of its file, as JSON has them."""
    frame = read.of_capture(capture).select(NAMES).collect()
    return [(*rest, f"{shares:f}") for *rest, shares in frame.rows()]


def of_pages(pages: list[Any]) -> list[tuple[Any, ...]]:
    return [tuple(one[name] for name in NAMES) for page in pages for one in page["data"]]


@pytest.mark.parametrize("size", [1000, 10_000])
def test_complaint_01_and_02_a_walk_is_the_ledger_while_a_restatement_lands(script: Script, size: int) -> None:
    first = Capture.objects.get(partition__tier=LARGE.tier)
    walk = script.pages("rows", week_ending=str(WEEK), tier=LARGE.tier.value, limit=size)
    pages = [next(walk)]
    second = captured(LARGE, psv(*lines(ROWS, 7)), compute=False)
    pages += walk
    assert of_pages(pages) == of_ledger(first)
    assert len(pages) == math.ceil(ROWS / size)
    assert {page["meta"]["position"] for page in pages} == {pages[0]["meta"]["position"]}
    assert {one["capture_id"] for page in pages for one in page["meta"]["inputs"]} == {first.capture_id}
    told = [[warning["code"] for warning in page["warnings"]] for page in pages]
    assert told == [[], *[["restated_later"]] * (len(pages) - 1)]
    again = list(script.pages("rows", week_ending=str(WEEK), tier=LARGE.tier.value, limit=10_000))
    assert of_pages(again) == of_ledger(second)


def test_complaint_01_pages_of_one_row_cross_partitions_in_order(script: Script) -> None:
    asked = {"week_ending": str(WEEK), "symbol": ["S3", "AAPL", "ZZZZ"]}
    whole = script.json("rows", **asked, limit=10_000)["data"]
    assert len(whole) == 17 + 2 + 1
    for size in (1, 7):
        pages = list(script.pages("rows", **asked, limit=size))
        assert [one for page in pages for one in page["data"]] == whole
        assert len(pages) == math.ceil(len(whole) / size)


def test_complaint_11_a_full_page_says_whether_there_is_more(script: Script) -> None:
    of_small = {"week_ending": str(WEEK), "tier": "OTC"}
    assert "next" not in script.json("rows", **of_small, limit=4)["links"]
    response = script.get("rows", **of_small, limit=3)
    page = response.json()  # type: ignore[attr-defined]
    assert len(page["data"]) == 3
    assert response["Link"] == f'<{page["links"]["next"]}>; rel="next"'
    last = script.json(page["links"]["next"])
    assert ([one["symbol"] for one in last["data"]], "next" in last["links"]) == (["ZZZZ"], False)


def test_complaint_12_limit_is_the_size_of_a_page_and_may_change_on_the_way(script: Script) -> None:
    of_small = {"week_ending": str(WEEK), "tier": "OTC"}
    cursor = script.json("rows", **of_small, limit=1)["links"]["next"].partition("cursor=")[2]
    rest = script.json("rows", **of_small, limit=10, cursor=cursor)
    assert [one["symbol"] for one in rest["data"]] == ["AAPL", "MSFT", "ZZZZ"]
    for wrong in ("0", "10001", "-1", "1.5", "x", "", "9" * 30, "\uff11"):
        assert script.problem(400, "rows", limit=wrong)["errors"][0]["name"] == "limit"


def test_pages_behind_the_first_are_fresh_for_ever(script: Script) -> None:
    address = script.json("rows", week_ending=str(WEEK), limit=1000)["links"]["next"]
    response = script.get(address)
    assert response["Cache-Control"] == FOR_EVER
    assert script.get(address, {"If-None-Match": response["ETag"]}).status_code == 304


def test_a_cursor_goes_on_with_its_own_question_only(script: Script) -> None:
    of_small = {"week_ending": str(WEEK), "tier": "OTC"}
    cursor = script.json("rows", **of_small, limit=1)["links"]["next"].partition("cursor=")[2]
    changed: list[tuple[str, dict[str, Any]]] = [
        ("rows", {"week_ending": str(WEEK)}),
        ("rows", {**of_small, "symbol": "AAPL"}),
        ("rows", {**of_small, "fields": "symbol"}),
        ("partitions", of_small),
    ]
    for path, asked in changed:
        problem = script.problem(400, path, **asked, cursor=cursor)
        assert problem["type"] == "/problems/cursor-mismatch", (path, asked)
    for text in (cursor[:-1], f"{cursor}x", "x", "", "x" * 1999):
        assert script.problem(400, "rows", **of_small, cursor=text)["type"] == "/problems/cursor-mismatch"
    for form in ("csv", "ndjson", "parquet"):
        assert script.problem(400, "rows", **of_small, cursor=cursor, format=form)["errors"][0]["name"] == "cursor"
        assert script.problem(400, "rows", **of_small, limit=1, format=form)["errors"][0]["name"] == "limit"


def test_a_place_that_no_page_gave_is_refused(script: Script) -> None:
    of_small = {"week_ending": str(WEEK), "tier": "OTC"}
    good = opened(script.json("rows", **of_small, limit=1)["links"]["next"].partition("cursor=")[2])
    for after in ((), ("x",), ("2025-11-14", "OTC", -1), (None, None, None), (1, 2, 3)):
        forged = Cursor(after, good.position, good.on_day, good.question, good.inputs).sealed()
        assert script.problem(400, "rows", **of_small, cursor=forged)["type"] == "/problems/invalid-parameter"


def test_a_walk_over_first_vintages_tells_when_one_comes(script: Script) -> None:
    asked = {"week_ending": str(WEEK), "vintage": "first", "limit": 1}
    address = script.json("rows", **asked)["links"]["next"]
    captured(PartitionKey(WEEK, Tier.NMS_TIER_1), content(PartitionKey(WEEK, Tier.NMS_TIER_1)), compute=False)
    problem = script.problem(409, address)
    assert problem["type"] == "/problems/walk-changed"
