"""Answers: the document, the whole sets, the ETag, what is fresh for ever, each with exact values."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from pipeline.models import Capture
from pipeline.readers import DATASETS
from pipeline.vintages import read
from tests.api.asking import API, ASK_AGAIN, FOR_EVER, Script, body
from tests.management.publications import WEEK

pytestmark = pytest.mark.usefixtures("few_rows")
ROWS = {"week_ending": str(WEEK), "tier": "OTC"}
FIRST, SECOND = "finra.otc_transparency:OTC:2025-11-14:20251215", "finra.otc_transparency:OTC:2025-11-14:20251215.2"


def test_rows_are_a_document_with_data_meta_warnings_and_links(script: Script) -> None:
    found = script.json("rows", **ROWS)
    assert list(found) == ["data", "meta", "warnings", "links"]
    assert found["data"][0] == {
        "week_ending": "2025-11-14",
        "week_start": "2025-11-10",
        "tier": "OTC",
        "venue_kind": "ATS",
        "symbol": "AAPL",
        "issue_name": "AAPL Inc",
        "mpid": "SGMT",
        "crd": "",
        "venue_name": "SGMT NAME",
        "product_type": "",
        "shares": "50.000000",
        "trades": 2,
        "notional": None,
        "last_update_date": "2025-12-15",
        "capture_id": SECOND,
        "version": 2,
    }
    assert [(row["symbol"], row["mpid"], row["shares"]) for row in found["data"]] == [
        ("AAPL", "SGMT", "50.000000"),
        ("AAPL", "UBSA", "101.000001"),
        ("MSFT", "UBSA", "25.250000"),
        ("NEWW", "SGMT", "7.500000"),
    ]
    assert (found["meta"]["rows"], found["meta"]["coverage"]) == (4, {"complete": True, "missing": []})
    assert [one["capture_id"] for one in found["meta"]["inputs"]] == [SECOND]
    assert found["warnings"] == []
    assert found["links"] == {
        "self": f"{API}rows?week_ending=2025-11-14&tier=OTC",
        "ndjson": f"{API}rows?week_ending=2025-11-14&tier=OTC&format=ndjson",
        "csv": f"{API}rows?week_ending=2025-11-14&tier=OTC&format=csv",
        "parquet": f"{API}rows?week_ending=2025-11-14&tier=OTC&format=parquet",
    }


def test_pinned_answers_are_fresh_for_ever_and_the_latest_are_asked_for_again(script: Script) -> None:
    assert script.get("rows", **ROWS)["Cache-Control"] == ASK_AGAIN
    assert script.get("rows", capture=FIRST)["Cache-Control"] == FOR_EVER
    known = Capture.objects.get(version=2).normalized_at
    assert known is not None
    assert script.get("rows", **ROWS, as_of=known.isoformat())["Cache-Control"] == FOR_EVER
    assert script.get("weeks")["Cache-Control"] == ASK_AGAIN
    assert script.get("rows", **ROWS)["Vary"] == "Accept, Authorization, Cookie"


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "parquet"])
def test_who_has_an_answer_gets_304_and_no_file_is_opened(
    script: Script, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = script.get("rows", **ROWS, format=form)["ETag"]
    for name in ("of_captures", "of_capture"):
        monkeypatch.setattr(read, name, _never)
    for held in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = script.get("rows", {"If-None-Match": held}, **ROWS, format=form)
        assert (response.status_code, response.content, response["ETag"]) == (304, b"", etag)
        assert (response["Cache-Control"], response["RateLimit"][:1]) == (ASK_AGAIN, '"')


def _never(*_args: Any) -> Any:
    raise AssertionError("a vintage file is opened")


def test_etags_tell_answers_apart(script: Script) -> None:
    asked: list[dict[str, Any]] = [
        {},
        {"fields": "symbol"},
        {"limit": 2},
        {"format": "csv"},
        {"format": "ndjson"},
        {"count_only": "true"},
        {"symbol": "AAPL"},
        {"venue_kind": "ATS"},
    ]
    etags = [script.get("rows", **ROWS, **one)["ETag"] for one in asked]
    etags += [script.get("rows", capture=one)["ETag"] for one in (FIRST, SECOND)]
    assert len(set(etags)) == len(etags)
    assert [script.get("rows", **ROWS, **one)["ETag"] for one in asked] == etags[: len(asked)]


def test_complaint_08_one_instant_in_three_offsets_is_one_answer(script: Script) -> None:
    texts = ("2025-12-31T17:00:00Z", "2025-12-31T12:00:00-05:00", "2026-01-01T02:00:00+09:00")
    answers = [script.get("rows", as_of=text, week_ending=str(WEEK)) for text in texts]
    assert len({(one.content, one["ETag"]) for one in answers}) == 1
    assert json.loads(answers[0].content)["meta"]["as_of"] == "2025-12-31T17:00:00Z"
    problem = script.problem(400, "rows", as_of="2025-12-31T17:00:00")
    assert problem["type"] == "/problems/invalid-parameter"
    assert problem["errors"][0]["name"] == "as_of"


def test_complaint_08_a_day_is_its_end_in_new_york_also_when_clocks_change(script: Script) -> None:
    for day, end in (("2025-03-09", "2025-03-10T03:59:59.999999Z"), ("2025-11-02", "2025-11-03T04:59:59.999999Z")):
        assert script.json("rows", as_of=day, weeks="1")["meta"]["as_of"] == end


def test_complaint_13_the_same_rows_in_every_form(script: Script) -> None:
    for asked in ({}, {"symbol": "AAPL"}, {"mpid": "UBSA,SGMT", "fields": "symbol,mpid,shares,trades,notional"}):
        data = script.json("rows", **ROWS, **asked)["data"]
        told = script.get("rows", **ROWS, **asked, format="csv")
        assert (told["Content-Type"], told["X-Row-Count"]) == (
            "text/csv; charset=utf-8; header=present",
            str(len(data)),
        )
        assert list(csv.DictReader(io.StringIO(body(told).decode()))) == [
            {name: "" if value is None else str(value) for name, value in row.items()} for row in data
        ]
        *lines, last = body(script.get("rows", {"Accept": "application/x-ndjson"}, **ROWS, **asked)).splitlines()
        assert [json.loads(line) for line in lines] == data
        assert json.loads(last) == {"_end": True, "rows": len(data)}
        frame = pl.read_parquet(body(script.get("rows", **ROWS, **asked, format="parquet")))
        assert frame.rows(named=True) == [_typed(row) for row in data]


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """A row of JSON with the types of the dictionary."""
    schema = DATASETS["rows"].schema
    one = {name: None if value is None else value for name, value in row.items()}
    for name, value in one.items():
        if isinstance(schema[name], pl.Decimal) and value is not None:
            one[name] = Decimal(value)
        elif schema[name] == pl.Date:
            one[name] = pl.Series([value]).str.to_date().item()
    return one


def test_complaint_14_a_file_that_was_cut_off_is_shorter_than_announced(script: Script) -> None:
    for form in ("csv", "ndjson", "parquet"):
        response = script.get("rows", **ROWS, format=form)
        assert int(response["Content-Length"]) == len(body(response))
        assert response["Content-Disposition"] == f'attachment; filename="rows.{form}"'
        assert response["X-Row-Count"] == "4"


def test_no_temporary_file_is_left(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    response = script.get("rows", **ROWS, format="csv")
    assert set(tmp_path.iterdir()) == before
    response.close()
    script.problem(404, "rows", **ROWS, symbol="NEVER", format="csv")
    assert set(tmp_path.iterdir()) == before


def test_a_capture_in_parquet_is_its_file(script: Script, archive_dir: Path) -> None:
    capture = Capture.objects.get(version=1)
    response = script.get(f"captures/{FIRST}", format="parquet")
    assert body(response) == (archive_dir / capture.vintage_path).read_bytes()
    assert (response["ETag"], response["Cache-Control"]) == (f'"{capture.vintage_sha256}"', FOR_EVER)
    assert response["Content-Disposition"] == f'attachment; filename="{FIRST.replace(":", "_")}.parquet"'
    assert (response["X-Row-Count"], response["RateLimit-Policy"][:6]) == ("4", '"read"')
    held = {"If-None-Match": response["ETag"], "Accept": "application/vnd.apache.parquet"}
    assert script.get(f"captures/{FIRST}", held).status_code == 304
    one = script.json(f"captures/{FIRST}")
    assert [(row["capture_id"], row["version"], row["kind"]) for row in one["data"]] == [(FIRST, 1, "FIRST")]
    assert script.problem(404, "captures/none")["type"] == "/problems/unknown-capture"
    assert script.problem(404, "captures/none", format="parquet")["type"] == "/problems/unknown-capture"
    assert script.problem(406, f"captures/{FIRST}", format="csv")["forms"] == ["json", "parquet"]


def test_a_count_reads_no_rows(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "of_captures", _never)
    found = script.json("rows", **ROWS, count_only="true")
    assert (found["data"], found["meta"]["rows_total"]) == ([], 4)
    assert script.problem(400, "rows", **ROWS, count_only="true", format="csv")["errors"][0]["name"] == "count_only"
    assert script.problem(400, "rows", **ROWS, count_only="true", limit=1)["errors"][0]["name"] == "limit"


def test_a_file_of_too_many_rows_is_refused(script: Script, settings: Settings) -> None:
    settings.MARKETSPINE_API_MAX_ROWS = 3
    problem = script.problem(400, "rows", **ROWS, format="csv")
    assert (problem["type"], problem["rows_total"], problem["most"]) == ("/problems/result-too-large", 4, 3)
    assert len(script.json("rows", **ROWS)["data"]) == 4
    assert script.get("rows", **ROWS, symbol="AAPL", format="csv").status_code == 200


def test_the_form_is_chosen_by_the_accept_header_and_by_the_parameter(script: Script) -> None:
    browsers = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    for accepted, given, expected in (
        ("", None, "application/json"),
        ("*/*", None, "application/json"),
        (browsers, None, "application/json"),
        ("application/*", None, "application/json"),
        ("application/problem+json", None, "application/json"),
        ("text/csv;q=0.5, application/vnd.apache.parquet", None, "application/vnd.apache.parquet"),
        ("text/*", None, "text/csv; charset=utf-8; header=present"),
        ("text/csv", "json", "application/json"),
        (browsers, "ndjson", "application/x-ndjson"),
    ):
        asked = ROWS | ({"format": given} if given else {})
        assert script.get("rows", {"Accept": accepted}, **asked)["Content-Type"] == expected, accepted
    problem = script.problem(406, "rows", {"Accept": "image/png"}, **ROWS)
    assert problem["forms"][0] == "application/json"
    assert script.problem(400, "rows", **ROWS, format="xlsx")["errors"][0]["allowed"] == [
        "json",
        "ndjson",
        "csv",
        "parquet",
    ]


def test_head_says_what_get_would(script: Script) -> None:
    got = script.get("rows", **ROWS)
    head = script.client.head(f"{API}rows", ROWS, headers=script.headers)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Type", "Cache-Control", "X-Row-Count"):
        assert head[name] == got[name]


@pytest.mark.parametrize(("path", "number"), [("rows", 5), ("venues", 6)])
def test_complaint_21_a_token_costs_three_questions_and_an_answer_that_is_held_few_more(
    script: Script, path: str, number: int
) -> None:
    """A hashed key is looked up, not tried out: no time is asserted, what takes it is counted.

    Beyond the token: the vintages (of the week before, too), the feed, what stands against them, whether it is a ledger of
    samples; of venues the first vintages.
    """
    etag = script.get(path, **ROWS)["ETag"]
    with CaptureQueriesContext(connection) as asked:
        assert script.get(path, {"If-None-Match": etag}, **ROWS).status_code == 304
    told = [one["sql"] for one in asked.captured_queries]
    assert sum("apitoken" in one for one in told) == 1, told
    assert sum("auth_permission" in one for one in told) == 2, told
    assert len(told) == 3 + number, told
