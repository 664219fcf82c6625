"""Partitions as payloads: pages, discovery, history, and what is archived."""

from __future__ import annotations

import io
import json
import random
import tarfile

import pytest

from pipeline.calendar import PartitionKey, Tier
from pipeline.parsing import parse
from pipeline.sources.base import NotPublished, PayloadFormat, Standing, UnsafeSource
from pipeline.sources.finra_api.pages import Page, pack_pages, unpack_pages
from pipeline.sources.finra_api.questions import CODES
from pipeline.sources.finra_api.source import FinraApi
from tests.finra_service import Fault, Kind
from tests.live_source import product
from tests.sources.finra_api.asking import KEY, OLD, TODAY, WEEKS, client_of, finra

PATHS = ("/partitions", "/data")


@pytest.mark.parametrize(
    "options",
    [{}, {"max_limit": 7}, {"max_payload": 3000}, {"max_limit": 11, "max_payload": 2000}, {"null_is_absent": True}],
    ids=["one page", "many pages", "pages cut by their size", "both", "fields left out"],
)
def test_however_the_pages_are_cut_the_rows_are_the_same(options: dict[str, int]) -> None:
    with finra() as server:
        whole = parse(client_of(server).fetch(KEY).content, PayloadFormat.PAGES, KEY.tier, 0)
    with finra(**options) as server:
        payload = client_of(server).fetch(KEY)
        parsed = parse(payload.content, PayloadFormat.PAGES, KEY.tier, 0)
        true = product.truth(server.service.catalogue.firm_rows(KEY, TODAY))
    assert (parsed.content_hash, parsed.rows_kept) == (whole.content_hash, len(true))
    assert parsed.controls == whole.controls
    assert parsed.controls is not None
    assert (parsed.controls.shares, parsed.controls.trades, parsed.controls.differing) == (
        parsed.shares,
        parsed.trades,
        0,
    )


def test_the_order_of_rows_and_pages_does_not_change_the_content_hash() -> None:
    with finra() as server:
        content = client_of(server).fetch(KEY).content
    rows = [row for body in unpack_pages(content) for row in json.loads(body, parse_float=str)]
    random.Random(1).shuffle(rows)
    numbers = ("totalWeeklyShareQuantity", "totalNotionalSum")
    text = json.dumps(rows)
    for row in rows:
        for name in numbers:
            if isinstance(row[name], str):
                text = text.replace(f'"{name}": "{row[name]}"', f'"{name}": {row[name]}')
    shuffled = pack_pages([Page("ALL", 0, len(rows), len(rows), "", text.encode())])
    first, again = (parse(bytes_, PayloadFormat.PAGES, KEY.tier, 0) for bytes_ in (content, shuffled))
    assert first.content_hash == again.content_hash


def test_the_payload_is_what_finra_sent_with_its_request_ids() -> None:
    with finra(max_limit=20) as server:
        server.service.log.clear()
        content = client_of(server).fetch(KEY).content
        entries = server.service.log.entries("weeklySummary")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = archive.getnames()
        requests = json.loads(archive.extractfile("requests.json").read())  # type: ignore[union-attr]
    assert members == ["requests.json", *(request["member"] for request in requests)]
    assert members[1:4] == [f"ATS_W_SMBL_FIRM/{offset:06d}.json" for offset in (0, 20, 40)]
    assert {request["request_id"] for request in requests} == {entry.request_id for entry in entries}
    assert sum(request["rows"] for request in requests) == sum(entry.rows for entry in entries)


def test_what_is_published_is_known_by_one_request() -> None:
    keys = [PartitionKey(week, tier) for week in WEEKS[1:] for tier in Tier]
    with finra() as server:
        assert client_of(server).available(keys) == set(keys)
        assert [entry.path for entry in server.service.log.entries()] == [
            "/partitions/group/otcMarket/name/weeklySummary"
        ]


def test_what_is_not_due_is_not_offered() -> None:
    with finra() as server:
        server.service.today = WEEKS[-1]
        assert client_of(server).available([KEY, OLD]) == {OLD}


def test_without_the_list_of_partitions_the_list_of_downloads_is_read_and_without_that_each_week_is_asked_for() -> None:
    with finra(partitions_forbidden=True) as server:
        assert client_of(server).available([KEY, OLD, ELSEWHERE]) == {KEY, OLD}
        assert {entry.dataset for entry in server.service.log.entries(status=200)} == {"weeklydownloaddetails"}
        server.service.faults.add(Fault(Kind.STATUS, times=None, path="weeklyDownloadDetails", status=403))
        server.service.faults.add(Fault(Kind.STATUS, times=None, path="Historic", status=403))
        server.service.log.clear()
        assert client_of(server).available([KEY, OLD, ELSEWHERE]) == {KEY, OLD}
        assert {entry.dataset for entry in server.service.log.entries(status=200)} == {"weeklysummary"}


ELSEWHERE = PartitionKey(WEEKS[0].replace(month=3, day=1), Tier.OTC)


def test_history_comes_from_where_the_service_has_it_with_the_filters_that_it_takes() -> None:
    with finra() as server:
        recent = parse(client_of(server).fetch(OLD).content, PayloadFormat.PAGES, OLD.tier, 0)
    with finra(recent_weeks=52) as server:
        api = client_of(server)
        assert api.available([OLD, KEY]) == {OLD, KEY}
        payload = api.fetch(OLD)
        assert payload.uri == f"api:otcMarket/weeklySummaryHistoric/{OLD.week_ending}/{OLD.tier}"
        assert api.fetch(KEY).uri.startswith("api:otcMarket/weeklySummary/")
    parsed = parse(payload.content, PayloadFormat.PAGES, OLD.tier, 0)
    assert (parsed.content_hash, parsed.controls) == (recent.content_hash, recent.controls)


def test_a_history_that_is_not_for_everybody_has_nothing_for_us() -> None:
    with finra(recent_weeks=52) as server:
        server.service.faults.add(Fault(Kind.STATUS, times=None, path="Historic", status=403))
        api = client_of(server)
        assert api.available([OLD, KEY]) == {KEY}
        with pytest.raises(NotPublished, match="has nothing for 2024-09-06 NMS_TIER_1"):
            api.fetch(OLD)


def test_a_partition_larger_than_allowed_is_not_read_on() -> None:
    with finra() as server, pytest.raises(UnsafeSource, match="raise MARKETSPINE_MAX_FILE_BYTES"):
        FinraApi(client_of(server)._access, 1000).fetch(KEY)


def test_a_tier_that_finra_calls_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    otc = PartitionKey(WEEKS[-1], Tier.OTC)
    monkeypatch.setitem(CODES, Tier.OTC, ("OTC", "OTCE"))
    with finra() as server:
        rows = server.service.catalogue.firm_rows(otc, TODAY)
        published = server.service.catalogue.published_on(otc)
        api = client_of(server)
        assert parse(api.fetch(otc).content, PayloadFormat.PAGES, otc.tier, 0).rows_kept == len(rows)
        assert api.standing(otc, published) == Standing(0, len(rows), len(rows))


def test_a_torn_reading_does_not_count_as_one_of_the_two_that_must_differ() -> None:
    with finra(max_limit=30) as server:
        server.service.faults.add(Fault(Kind.ROW_ADDED, offset=1))
        server.service.faults.add(Fault(Kind.NULL_SHARES, times=1, after=9))
        parsed = parse(client_of(server).fetch(KEY).content, PayloadFormat.PAGES, KEY.tier, 0)
    assert (parsed.rejects, parsed.controls and parsed.controls.differing) == ([], 0)


def test_how_a_partition_stands_is_four_numbers() -> None:
    with finra() as server:
        rows = server.service.catalogue.firm_rows(KEY, TODAY)
        published = server.service.catalogue.published_on(KEY)
        api = client_of(server)
        assert api.standing(KEY, published) == Standing(0, len(rows), len(rows))
        assert api.standing(KEY, WEEKS[0]) == Standing(len(rows), 0, len(rows))
        assert api.standing(ELSEWHERE, published) == Standing(0, 0, 0)
