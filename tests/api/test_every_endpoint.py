"""Every endpoint answers on a ledger in which a week was captured, restated and computed: its head, its types, its forms."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.api.datasets import SOURCES
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture
from pipeline.readers import DATASETS
from pipeline.readers.fields import Field
from pipeline.weeks import readiness
from tests.admin.vintages import captured
from tests.api.asking import Script, body, viewer
from tests.management.publications import DAY, NEWER_WEEK, OLDER_WEEK, ROWS, WEEK, content
from tests.support.engines import Begin

pytestmark = pytest.mark.usefixtures("few_rows")
OF_ONE_ROW = ("symbols", "restatements/symbols", "revisions/dates")
RESTATED = (("AAPL", "UBSA", "7", 3), ("AAPL", "SGMT", "0.000001", 2), *ROWS[2:])
KEYS = [PartitionKey(week, tier) for week in (OLDER_WEEK, WEEK) for tier in Tier]
FEEDS = {source.path for source in SOURCES if source.is_feed}
# What the endpoints need to be asked, beside the weeks.
NEEDED = {
    "row_history": {"symbol": "AAPL"},
    "differences": {"week_ending": str(WEEK), "tier": "OTC"},
    "venues": {"week_ending": str(WEEK)},
    "venue_history": {"mpid": "UBSA", "weeks": "all"},
    "venue_symbols": {"week_ending": str(WEEK), "mpid": "UBSA"},
    "symbol_leaders": {"week_ending": str(WEEK), "venue_kind": "ATS"},
    "symbols": {"q": "AAPL"},
    "symbol_history": {"symbol": "AAPL", "weeks": "all"},
    "symbol_venues": {"symbol": "AAPL", "weeks": "all"},
    "market": {"weeks": "all"},
    "rows": {"weeks": "all"},
    "row_search": {"weeks": "all"},
}


@pytest.fixture
def script(begin: Begin) -> Script:
    """A Viewer's script; two weeks are captured, the second one restated with whole and with tiny volumes."""
    begin(two_weeks)
    return viewer()


def two_weeks(_folder: Path) -> None:
    for key in KEYS:
        captured(key, content(key), compute=key.tier is Tier.OTC)
    captured(KEYS[-1], content(KEYS[-1], RESTATED))
    readiness.decide_week(WEEK, DAY)


def answers(script: Script) -> Iterator[tuple[str, dict[str, str], Any]]:
    """The path, the question and the answer of each endpoint."""
    [latest] = Capture.objects.filter(version=2)
    [before] = Capture.objects.filter(version=1, partition=latest.partition)
    for source in SOURCES:
        asked = dict(NEEDED.get(source.name, {}))
        if source.name == "differences":
            asked = {"from_capture": before.capture_id, "to_capture": latest.capture_id}
        yield source.path, asked, script.json(source.path, **asked)


def test_complaint_15_and_18_every_answer_says_as_of_when_and_each_field_has_its_type(script: Script) -> None:
    filled = set()
    for path, asked, answer in answers(script):
        meta = answer["meta"]
        assert datetime.fromisoformat(meta["as_of"]).utcoffset() is not None, path
        assert set(meta["coverage"]) == {"complete", "missing"}, path
        dataset = DATASETS[meta["dataset"]]
        fields = {field.name: field for field in dataset.fields}
        for row in answer["data"]:
            filled.add(path)
            assert list(row) == list(fields), path
            wrong = [name for name, value in row.items() if not is_of(fields[name], value)]
            assert wrong == [], (path, row)
        frame = pl.read_parquet(body(script.get(path, **asked, format="parquet")))
        assert (frame.schema, frame.height) == (dataset.schema, len(answer["data"])), path
        *lines, last = body(script.get(path, **asked, format="ndjson")).splitlines()
        assert [json.loads(line) for line in lines] == answer["data"], path
        assert json.loads(last) == {"_end": True, "rows": len(answer["data"])}, path
    assert filled == {source.path for source in SOURCES}


def test_a_walk_over_the_pages_of_every_endpoint_is_its_answer(script: Script) -> None:
    walked = set()
    for path, asked, answer in answers(script):
        if path in FEEDS:
            continue  # they have no last page
        pages = list(script.pages(path, **asked, limit=max(1, len(answer["data"]) // 2)))
        assert [row for page in pages for row in page["data"]] == answer["data"], path
        walked |= {path} if len(pages) > 1 else set()
    assert {source.path for source in SOURCES} - walked == {*FEEDS, *OF_ONE_ROW}


def is_of(field: Field, value: Any) -> bool:
    """Whether a value of JSON is one of the field's type: decimals are text with six places, and never a number."""
    if value is None:
        return bool(field.null)
    match field.type:
        case pl.Decimal():
            return isinstance(value, str) and re.fullmatch(r"-?\d+\.\d{6}", value) is not None
        case pl.Date():
            return date.fromisoformat(str(value)).isoformat() == str(value)
        case pl.Datetime():
            return isinstance(value, str) and value.endswith("Z") and datetime.fromisoformat(value) is not None
        case pl.Float64():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case pl.Boolean():
            return isinstance(value, bool)
        case pl.String():
            return isinstance(value, str)
        case pl.List():
            return isinstance(value, list)
    return isinstance(value, int) and not isinstance(value, bool)


def test_complaint_15_sums_of_what_is_handed_out_are_those_of_the_ledger(script: Script) -> None:
    for capture in Capture.objects.all():
        rows = script.json("rows", capture=capture.capture_id)["data"]
        assert sum(Decimal(row["shares"]) for row in rows) == capture.shares
        assert sum(row["trades"] for row in rows) == capture.trades


def test_complaint_18_a_late_partition_is_said_everywhere(script: Script) -> None:
    missing = script.json("rows", week_ending=str(NEWER_WEEK))["meta"]["coverage"]
    assert missing["complete"] is False
    assert [one["state"] for one in missing["missing"]] == ["NOT_CAPTURED"] * 3
    [verdict] = script.json("readiness", week_ending=str(NEWER_WEEK), use="trading")["data"]
    assert verdict["state"] == "BLOCKED"
    assert all("not captured" in reason for reason in verdict["reasons"])
    assert verdict["reason_codes"] == ["NOT_CAPTURED"] * 3
    problem = script.problem(404, "rows", week_ending=str(NEWER_WEEK), tier="OTC")
    assert problem["type"] == "/problems/not-captured"
