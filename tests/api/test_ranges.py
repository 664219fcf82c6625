"""A download that was cut off goes on where it was, and never with a part of another file; how large an answer will be."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from pipeline.api import answers
from pipeline.models import Capture
from tests.admin.vintages import captured
from tests.api.asking import Script, body
from tests.management.publications import OTC, WEEK, content

pytestmark = pytest.mark.usefixtures("few_rows")
ROWS = {"week_ending": str(WEEK), "tier": "OTC"}
WHOLE = {**ROWS, "format": "csv"}


def test_parts_of_an_answer_are_the_answer(script: Script) -> None:
    whole = script.get("rows", **WHOLE)
    content, etag = body(whole), whole["ETag"]
    size = len(content)
    assert whole["Accept-Ranges"] == "bytes"
    for asked, first, last in (
        ("bytes=0-9", 0, 9),
        ("bytes=10-", 10, size - 1),
        ("bytes=-5", size - 5, size - 1),
        (f"bytes=-{size * 9}", 0, size - 1),
        (f"bytes=7-{size * 9}", 7, size - 1),
    ):
        part = script.get("rows", {"Range": asked, "If-Range": etag}, **WHOLE)
        assert (part.status_code, part["Content-Range"]) == (206, f"bytes {first}-{last}/{size}"), asked
        assert (body(part), part["Content-Length"]) == (content[first : last + 1], str(last - first + 1)), asked
        assert (part["ETag"], part["X-Row-Count"]) == (etag, "4")


def test_what_is_no_single_part_or_of_another_file_is_the_whole(script: Script) -> None:
    content = body(script.get("rows", **WHOLE))
    for headers in (
        {"Range": "bytes=0-3,5-9"},
        {"Range": "bytes=9-3"},
        {"Range": "bytes=-"},
        {"Range": "lines=0-3"},
        {"Range": "bytes=a-b"},
        {"Range": "bytes=0-3", "If-Range": '"another"'},
    ):
        reply = script.get("rows", headers, **WHOLE)
        assert (reply.status_code, body(reply)) == (200, content), headers
    head = script.client.head("/api/v1/rows", WHOLE, headers={**script.headers, "Range": "bytes=0-3"})
    assert (head.status_code, head["Content-Length"]) == (200, str(len(content)))
    for beyond in (f"bytes={len(content)}-", "bytes=-0", f"bytes={10**17}-"):
        problem = script.problem(416, "rows", {"Range": beyond}, **WHOLE)
        assert (problem["type"], problem["bytes"]) == ("/problems/range-not-satisfiable", len(content)), beyond
    assert (
        script.get("rows", {"Range": f"bytes={len(content)}-"}, **WHOLE)["Content-Range"] == f"bytes */{len(content)}"
    )


def test_a_part_of_a_file_that_says_as_of_when_it_is_fits_no_later_one(script: Script) -> None:
    asked = {form: {**ROWS, "format": form} for form in ("csv", "parquet")}
    before = {form: script.get("rows", **asked[form]) for form in asked}
    captured(
        OTC._replace(week_ending=WEEK - timedelta(days=7)), content(OTC._replace(week_ending=WEEK - timedelta(days=7)))
    )
    for form, status in (("csv", 206), ("parquet", 200)):
        headers = {"Range": "bytes=4-11", "If-Range": before[form]["ETag"]}
        assert script.get("rows", headers, **asked[form]).status_code == status, form


def test_a_part_of_a_vintage_file(script: Script) -> None:
    capture = Capture.objects.get(version=1)
    path = f"captures/{capture.capture_id}"
    whole = body(script.get(path, format="parquet"))
    part = script.get(path, {"Range": "bytes=4-11"}, format="parquet")
    assert (part.status_code, body(part), part["Content-Length"]) == (206, whole[4:12], "8")


def test_a_count_says_how_large_the_files_are(script: Script) -> None:
    few = {**ROWS, "venue_kind": "ATS"}
    counted = script.json("rows", **few, count_only="true")["meta"]
    sizes = {form: len(body(script.get("rows", **few, format=form))) for form in ("ndjson", "csv", "parquet")}
    assert counted["rows_total"] == 4
    assert {form: counted["estimated_bytes"][form] for form in sizes} == sizes
    unread = script.json("rows", **ROWS, count_only="true")["meta"]["estimated_bytes"]
    assert all(0.7 < unread[form] / sizes[form] < 1.5 for form in ("ndjson", "csv")), (unread, sizes)
    assert script.json("rows", symbol="AAPL", venue_kind="NON_ATS", count_only="true")["meta"]["rows_total"] == 0


def test_a_page_of_many_vintages_names_where_they_are(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_INPUTS", 0)
    page = script.json("rows", **ROWS)
    assert (page["meta"]["inputs"], page["meta"]["inputs_total"], len(page["meta"]["inputs_digest"])) == ([], 1, 24)
    [one] = script.json(page["links"]["inputs"])["meta"]["inputs"]
    assert one["version"] == 2


def test_what_is_here_begins_with_the_newest_weeks(script: Script) -> None:
    found: Any = json.loads(body(script.get("")))
    assert found["meta"]["newest_weeks"] == {"NMS_TIER_1": None, "NMS_TIER_2": None, "OTC": "2025-11-14"}
