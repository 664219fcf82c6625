"""Partitions as payloads: pages, discovery, history, and what is archived."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from dataclasses import replace
from itertools import permutations

import pytest
import time_machine
import zstandard

from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.content import Content
from pipeline.finra.formats import api_pages
from pipeline.finra.sources.api import queries
from pipeline.finra.sources.api.fields import FIELDS, SummaryType
from pipeline.finra.sources.api.pages import Packing, Page, unpack_pages
from pipeline.finra.sources.api.queries import CODES
from pipeline.finra.sources.api.source import FinraApi
from pipeline.finra.sources.base import CannotBeAsked, NotPublished, Standing, UnsafeSource
from tests.fake_finra import Fault, HistoricFields, Kind
from tests.finra.api_pages import packed
from tests.finra.sources.api.asking import KEY, OLD, TODAY, WEEKS, client_of, finra
from tests.live_source import product


def read(content: bytes, key: PartitionKey) -> Content:
    return api_pages.read(content, key, 0)


@pytest.mark.parametrize(
    "options",
    [{}, {"max_limit": 7}, {"max_payload": 3000}, {"max_limit": 11, "max_payload": 2000}, {"null_is_absent": True}],
    ids=["one page", "many pages", "pages cut by their size", "both", "fields left out"],
)
def test_however_the_pages_are_cut_the_rows_are_the_same(options: dict[str, int]) -> None:
    with finra() as server:
        whole = read(client_of(server).fetch(KEY).content, KEY)
    with finra(**options) as server:
        payload = client_of(server).fetch(KEY)
        content = read(payload.content, KEY)
        true = product.truth(server.service.catalogue.firm_rows(KEY, TODAY))
    assert (content.content_hash, content.rows_kept) == (whole.content_hash, len(true))
    assert content.controls == whole.controls
    assert content.controls is not None
    assert (content.controls.shares, content.controls.trades, content.controls.differing) == (
        content.shares,
        content.trades,
        0,
    )


def test_what_was_decoded_to_be_checked_reads_as_the_bytes_do() -> None:
    with finra(max_limit=20) as server:
        server.service.faults.add(Fault(Kind.UNKNOWN_FIELD, None))
        server.service.faults.add(Fault(Kind.NEGATIVE_SHARES, None, equal={"summaryTypeCode": "ATS_W_SMBL_FIRM"}))
        payload = client_of(server).fetch(KEY)
    assert payload.decoded is not None
    from_bytes = api_pages.read(payload.content, KEY, 1)
    spared = reader.read_fetched(payload, KEY, 1)
    assert spared.frame.equals(from_bytes.frame)
    assert len(spared.rejects) > 1
    assert replace(spared, keyed=from_bytes.keyed) == from_bytes


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
    first, again = (read(bytes_, KEY) for bytes_ in (content, packed(text.encode())))
    assert first.content_hash == again.content_hash


def test_the_payload_is_what_finra_sent_with_its_request_ids() -> None:
    with finra(max_limit=20) as server:
        server.service.log.clear()
        payload = client_of(server).fetch(KEY)
        entries = server.service.log.entries("weeklySummary")
    assert payload.sha256 == hashlib.sha256(payload.content).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(payload.content)) as archive:
        members = archive.getnames()
        requests = json.loads(archive.extractfile("requests.json").read())  # type: ignore[union-attr]
    assert members == [*(request["member"] for request in requests), "requests.json"]
    assert members[:3] == [f"ATS_W_SMBL_FIRM/{offset:06d}.json" for offset in (0, 20, 40)]
    assert {request["request_id"] for request in requests} == {entry.request_id for entry in entries}
    assert sum(request["rows"] for request in requests) == sum(entry.rows for entry in entries)


def test_the_page_that_stands_first_is_asked_for_first() -> None:
    with finra(max_limit=7) as server:
        server.service.log.clear()
        payload = client_of(server, connections=1).fetch(KEY)
        asked = [entry.request_id for entry in server.service.log.entries("weeklySummary")]
    with tarfile.open(fileobj=io.BytesIO(payload.content)) as archive:
        packed = json.loads(archive.extractfile("requests.json").read())  # type: ignore[union-attr]
    further = [request["request_id"] for request in packed if not request["member"].endswith("/000000.json")]
    first = [request["request_id"] for request in packed if request["request_id"] not in further]
    assert [one for one in asked if one in further] == further
    assert [one for one in asked if one in first] == first
    assert asked[:2] == first[:2]  # the second is given to the thread before the first reply tells of further pages


def test_in_whatever_order_pages_come_the_payload_is_the_same() -> None:
    pages = [Page("A", at, 2, 6, f"a{at}", b"[%d]" % at) for at in (0, 2, 4)]
    pages += [Page("B", 0, 0, 0, "", b""), Page("C", 0, 1, 2, "c0", b"[]"), Page("C", 1, 1, 2, "c1", b"[1]")]
    payloads = set()
    for order in permutations(pages):
        payload = Packing("ABC")
        for page in order:
            payload.add(page)
        payloads.add(payload.finish())
    packed, *others = payloads
    assert others == []
    assert list(unpack_pages(packed.content)) == [b"[0]", b"[2]", b"[4]", b"[]", b"[1]"]
    assert packed.sha256 == hashlib.sha256(packed.content).hexdigest()
    assert zstandard.get_frame_parameters(packed.compressed).content_size == len(packed.content)
    assert zstandard.ZstdDecompressor().decompress(packed.compressed) == packed.content


def test_what_came_of_an_unusable_partition_is_packed_in_its_order() -> None:
    payload = Packing("AB")
    for query, offset in (("B", 1), ("A", 4), ("A", 0)):
        payload.add(Page(query, offset, 2, 6, "", f"{query}{offset}".encode()))
    assert list(unpack_pages(payload.finish().content)) == [b"A0", b"A4", b"B1"]


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


ELSEWHERE = PartitionKey(WEEKS[0].replace(month=3, day=1), Tier.OTC)


def test_without_the_list_of_partitions_the_list_of_downloads_is_read() -> None:
    with finra(partitions_forbidden=True) as server:
        assert client_of(server).available([KEY, OLD, ELSEWHERE]) == {KEY, OLD}
        assert {entry.dataset for entry in server.service.log.entries(status=200)} == {"weeklydownloaddetails"}


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize("lists", [("/partitions",), ("/partitions", "weeklyDownloadDetails")], ids=["one", "both"])
def test_a_list_that_cannot_be_read_leads_to_the_next_way(lists: tuple[str, ...], status: int) -> None:
    with finra() as server:
        for path in lists:
            server.service.faults.add(Fault(Kind.STATUS, times=None, path=path, status=status))
        known = {KEY, OLD} if len(lists) == 1 else {KEY, OLD, ELSEWHERE}
        assert client_of(server).available([KEY, OLD, ELSEWHERE]) == known
        assert server.service.log.entries("weeklySummary", status=200) == []


@pytest.mark.parametrize("status", [400, 403, 503, 520])
def test_the_main_list_stands_when_the_history_cannot_be_listed(status: int, caplog: pytest.LogCaptureFixture) -> None:
    with finra() as server:
        server.service.faults.add(Fault(Kind.STATUS, times=None, path="Historic", status=status))
        assert client_of(server).available([KEY, OLD, ELSEWHERE]) == {KEY, OLD}
    assert "the list of FINRA's history cannot be read" in caplog.text


@pytest.mark.parametrize("spelt", [*HistoricFields, None], ids=["camel case", "lower case", "left out"])
@pytest.mark.parametrize("fields", [True, False], ids=["fields asked for", "fields refused"])
def test_history_comes_from_where_the_service_has_it(
    spelt: HistoricFields | None, fields: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with finra() as server:
        recent = read(client_of(server).fetch(OLD).content, OLD)
    if not fields:
        monkeypatch.setattr(queries, "FIELDS", (*FIELDS, "unheardOf"))
    with finra(recent_weeks=52, historic_fields=spelt, max_limit=20) as server:
        api = client_of(server)
        assert api.available([OLD, KEY]) == {OLD, KEY}
        payload = api.fetch(OLD)
        assert payload.uri == f"api:otcMarket/weeklySummaryHistoric/{OLD.week_ending}/{OLD.tier}"
        assert api.fetch(KEY).uri.startswith("api:otcMarket/weeklySummary/")
    content = read(payload.content, OLD)
    assert (content.content_hash, content.controls) == (recent.content_hash, recent.controls)


def test_a_missing_recent_week_is_not_sought_in_history() -> None:
    recent = PartitionKey(WEEKS[-1], Tier.OTC)
    with finra() as server, time_machine.travel(WEEKS[-1]):
        server.service.today = WEEKS[-1]
        with pytest.raises(NotPublished, match="has nothing for 2025-10-03 OTC"):
            client_of(server).fetch(recent)
        assert [entry.path for entry in server.service.log.entries("weeklySummaryHistoric")] == [
            "/partitions/group/otcMarket/name/weeklySummaryHistoric"
        ]


def test_the_history_before_its_window_has_nothing() -> None:
    with finra(recent_weeks=52, historic_weeks=53) as server:
        api = client_of(server)
        with pytest.raises(NotPublished, match="has nothing for 2024-09-06"):
            api.fetch(OLD)
        assert {entry.status for entry in server.service.log.entries("weeklySummaryHistoric")} == {400}


def test_a_history_that_is_not_for_everybody_has_nothing_for_us() -> None:
    with finra(recent_weeks=52) as server:
        server.service.faults.add(Fault(Kind.STATUS, times=None, path="Historic", status=403))
        api = client_of(server)
        assert api.available([OLD, KEY]) == {KEY}
        with pytest.raises(NotPublished, match="has nothing for 2024-09-06 NMS_TIER_1"):
            api.fetch(OLD)


@pytest.mark.parametrize("most", [3, 2, 1, 0])
def test_fewer_sort_fields_are_asked_for_where_finra_refuses_as_many(most: int) -> None:
    with finra(max_limit=20) as server:
        whole = read(client_of(server).fetch(KEY).content, KEY)
    with finra(max_limit=20, most_sort_fields=most) as server:
        content = read(client_of(server).fetch(KEY).content, KEY)
        refused = server.service.log.entries("weeklySummary", status=400)
        # The first pages of the cuts are asked for at once: a cut may learn from another one, or not.
        assert 3 - most <= len(refused) <= (3 - most) * len(SummaryType)
    assert (content.content_hash, content.controls) == (whole.content_hash, whole.controls)


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
        assert read(api.fetch(otc).content, otc).rows_kept == len(rows)
        assert api.standing(otc, published, totals_too=False) == Standing(0, len(rows), len(rows))


def test_a_torn_reading_does_not_count() -> None:
    with finra(max_limit=30) as server:
        server.service.faults.add(Fault(Kind.ROW_ADDED, offset=1))
        server.service.faults.add(Fault(Kind.NULL_SHARES, times=1, after=9))
        content = read(client_of(server).fetch(KEY).content, KEY)
    assert (content.rejects, content.controls and content.controls.differing) == ([], 0)


@pytest.mark.parametrize("totals_too", [False, True], ids=["rows by firm", "totals too"])
def test_how_a_partition_stands_is_three_numbers(totals_too: bool) -> None:
    with finra() as server:
        cuts = {cut.value for cut in SummaryType if totals_too or cut.has_firms}
        rows = len([row for row in server.service.catalogue.rows(KEY, TODAY) if row[16] in cuts])
        published = server.service.catalogue.published_on(KEY)
        api = client_of(server)
        server.service.log.clear()
        assert api.standing(KEY, published, totals_too=totals_too) == Standing(0, rows, rows)
        assert len(server.service.log.entries()) == 3
        assert api.standing(KEY, WEEKS[0], totals_too=totals_too) == Standing(rows, 0, rows)
        with pytest.raises(NotPublished, match="has nothing for 2024-03-01 OTC any more"):
            api.standing(ELSEWHERE, published, totals_too=totals_too)


def test_a_week_that_only_the_history_has_cannot_be_asked_about() -> None:
    with (
        finra(recent_weeks=52) as server,
        pytest.raises(CannotBeAsked, match="only weeklySummaryHistoric has 2024-09-06"),
    ):
        client_of(server).standing(OLD, WEEKS[0], totals_too=True)
