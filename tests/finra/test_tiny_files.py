"""Files of a few bytes that hold millions of lines, and other payloads without an end: refused before they are read."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Mapping
from pathlib import Path

import pytest
import zstandard
from django.conf import settings

from pipeline.finra import reader
from pipeline.finra.content import UnreadablePayload
from pipeline.finra.payloads import PayloadFormat, tar_of
from pipeline.finra.sources.api.source import FinraApi
from pipeline.finra.sources.base import UnsafeSource
from pipeline.finra.sources.files.compression import Compression, decompress
from pipeline.finra.sources.files.file_names import file_name
from pipeline.finra.sources.files.source import FilesSource, SingleFile
from tests.finra.sources.api.asking import KEY as API_KEY
from tests.finra.sources.api.asking import client_of, finra
from tests.support.capturing import KEY
from tests.support.sources_in_memory import HEADER, psv, row

MIB = 1024 * 1024
CAP = 64 * MIB
TOO_MANY = "has more than 500,000 lines: if that is right, raise MARKETSPINE_MAX_ROWS"
NEWLINES = f"{HEADER}\n".encode() + b"\n" * 16 * MIB


def peak_of_reading(folder: Path, said: str) -> int:
    """The most memory that a refused file took, in bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(UnsafeSource) as refused:
            FilesSource(folder, CAP).fetch(KEY)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert str(refused.value) == said


@pytest.mark.parametrize("suffix", [".zst", ".gz"])
def test_a_tiny_file_of_newlines_is_left_before_it_is_large(tmp_path: Path, suffix: str) -> None:
    """630 bytes of zstd once took 50 seconds and 1.8 GB."""
    name = f"{file_name(KEY)}{suffix}"
    compressed = zstandard.compress(NEWLINES) if suffix == ".zst" else gzip.compress(NEWLINES)
    assert len(compressed) < 20_000
    (tmp_path / name).write_bytes(compressed)
    assert peak_of_reading(tmp_path, f"{name} {TOO_MANY}") < 8 * MIB


def test_a_plain_file_of_newlines_is_refused(tmp_path: Path) -> None:
    (tmp_path / file_name(KEY)).write_bytes(NEWLINES)
    for source in (FilesSource(tmp_path, CAP), SingleFile(tmp_path / file_name(KEY), KEY, CAP)):
        payload = source.fetch(KEY)
        with pytest.raises(UnsafeSource, match=TOO_MANY):
            payload.check()


# A process begins with the peak of the one that it was forked from.
FIELDS_READ = f"""
import resource
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
begun = peak()
from datetime import date
from pipeline.finra import calendar, payloads, reader
content = {HEADER!r}.encode() + b"\\n" + b"|" * 4_000_000 + b"\\n"
key = calendar.PartitionKey(date(2025, 11, 14), calendar.Tier.OTC)
found = reader.read(content, payloads.PayloadFormat.PSV, key, 1)
print(found.rejects[0].reason, peak() - begun)
"""


def test_a_first_line_of_four_million_fields_takes_no_room_for_each() -> None:
    """4 kB of zstd once took 1.9 GB."""
    done = subprocess.run([sys.executable, "-c", FIELDS_READ], cwd=settings.BASE_DIR, capture_output=True, check=True)
    reason, mebibytes = done.stdout.decode().split()
    assert reason == "FIELD_COUNT"
    assert int(mebibytes) < 600


def test_a_bomb_within_a_bomb_is_opened_once() -> None:
    inner = gzip.compress(NEWLINES)
    assert decompress(gzip.compress(inner), Compression.GZIP, "f", CAP) == inner


@pytest.mark.parametrize("lines", [3, 4])
def test_the_last_number_of_lines_that_may_be(lines: int, tmp_path: Path) -> None:
    content = psv(*(row(f"S{n}", "AAAA", 1) for n in range(lines)))
    for text in (content, content.removesuffix(b"\n")):
        if lines == 3:
            assert decompress(gzip.compress(text), Compression.GZIP, "f", CAP, 3) == text
            assert reader.read(text, PayloadFormat.PSV, KEY, 0, 3).rows_kept == 3
        else:
            with pytest.raises(UnreadablePayload, match=r"^the payload has more than 3 lines: "):
                reader.read(text, PayloadFormat.PSV, KEY, 0, 3)
    (tmp_path / "f").write_bytes(content)
    plain = SingleFile(tmp_path / "f", KEY, CAP, 3).fetch(KEY)
    if lines == 3:
        plain.check()
    else:
        for act in (plain.check, lambda: decompress(gzip.compress(content), Compression.GZIP, "f", CAP, 3)):
            with pytest.raises(UnsafeSource, match=r"^f has more than 3 lines: "):
                act()


def test_the_lines_of_both_parts_count_together() -> None:
    content = tar_of([("ats.psv", psv(row("A", "AAAA", 1))), ("nonats.psv", psv(row("A", "", 1, name="Firm")))])
    assert reader.read(content, PayloadFormat.PARTS, KEY, 0, 2).rows_kept == 2
    with pytest.raises(UnreadablePayload, match=r"^the payload has more than 1 lines: "):
        reader.read(content, PayloadFormat.PARTS, KEY, 0, 1)


def test_newlines_without_an_end_are_counted_and_not_read() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnreadablePayload, match=rf"^the payload {TOO_MANY}$"):
            reader.read(NEWLINES, PayloadFormat.PSV, KEY, 1)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_too_many_blank_lines_are_refused_with_five_shown() -> None:
    content = f"{HEADER}\n".encode() + b"\n" * 500_000
    tracemalloc.start()
    try:
        with pytest.raises(UnreadablePayload) as refused:
            reader.read(content, PayloadFormat.PSV, KEY, 0.1)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
    first = "; ".join(f"line {line} FIELD_COUNT" for line in range(2, 7))
    assert str(refused.value) == f"500,000 of 500,000 rows were rejected, more than 10% allows: {first}"


def api_page(*rows: Mapping[str, object]) -> bytes:
    known = {
        "summaryTypeCode": "ATS_W_SMBL_FIRM",
        "issueSymbolIdentifier": "A",
        "issueName": "A Inc",
        "MPID": "AAAA",
        "marketParticipantName": "A ATS",
        "totalWeeklyShareQuantity": 1,
        "totalWeeklyTradeCount": 1,
        "lastUpdateDate": "2025-12-15",
        "weekStartDate": "2025-11-10",
        "tierIdentifier": "OTC",
    }
    return json.dumps([{**known, **one} for one in rows]).encode()


def test_pages_without_an_end_are_not_read_on() -> None:
    page = api_page(*({"issueSymbolIdentifier": f"S{n}"} for n in range(10)))
    content = tar_of([("requests.json", b"[]"), *((f"q/{n}.json", page) for n in range(10))])
    with pytest.raises(UnreadablePayload, match=r"^the payload has more than 25 lines: "):
        reader.read(content, PayloadFormat.PAGES, KEY, 1, 25)


def test_more_rows_than_allowed_are_not_fetched_from_the_api() -> None:
    with finra() as server, pytest.raises(UnsafeSource, match=r"^the pages have more than 10 lines: "):
        FinraApi(client_of(server)._access, CAP, 10).fetch(API_KEY)


@pytest.mark.parametrize(
    "number",
    ["9" * 5000, "1." + "9" * 5000, "1e999999999", "-0." + "0" * 5000 + "1"],
    ids=["integer", "decimal", "exponent", "fraction"],
)
def test_a_number_without_an_end_is_one_reject(number: str) -> None:
    body = api_page({}, {"issueSymbolIdentifier": "B"})
    body = body.replace(b'"totalWeeklyShareQuantity": 1', b'"totalWeeklyShareQuantity": ' + number.encode(), 1)
    content = tar_of([("requests.json", b"[]"), ("q/0.json", body)])
    parsed = reader.read(content, PayloadFormat.PAGES, KEY, 0.5)
    assert [reject.reason for reject in parsed.rejects] == ["BAD_SHARES"]
    assert parsed.rows_kept == 1


def test_a_text_without_an_end_is_one_reject() -> None:
    page = api_page({"issueName": "x" * MIB}, {})
    content = tar_of([("requests.json", b"[]"), ("q/0.json", page)])
    parsed = reader.read(content, PayloadFormat.PAGES, KEY, 0.5)
    assert [reject.reason for reject in parsed.rejects] == ["TOO_LONG"]
    assert parsed.rows_kept == 1
