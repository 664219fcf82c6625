"""The folder source and the single file, on real files: what is delivered, under which name, and when."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import zstandard

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import PartName, PayloadFormat, unpack
from pipeline.finra.sources.base import NotPublished, SourceError, UnsafeSource
from pipeline.finra.sources.files.file_names import file_name
from pipeline.finra.sources.files.source import FilesSource, SingleFile

KEY = PartitionKey(date(2025, 11, 14), Tier.OTC)
TIER_1 = PartitionKey(date(2025, 11, 14), Tier.NMS_TIER_1)
NAME = "otc_week_2025-11-14.psv"
NON_ATS = "otc_week_2025-11-14.nonats.psv"
CONTENT = b"tierDescription|issueSymbolIdentifier\nOTC|AABB\n"
CAP = 1000

Compress = Callable[[bytes], bytes]
COMPRESSORS: list[tuple[str, Compress]] = [
    ("", bytes),
    (".gz", gzip.compress),
    (".zst", zstandard.ZstdCompressor().compress),
]
each_compression = pytest.mark.parametrize(("suffix", "compress"), COMPRESSORS, ids=["plain", "gz", "zst"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    return path


@pytest.fixture
def source(root: Path) -> FilesSource:
    return FilesSource(root, CAP)


@pytest.mark.parametrize(
    ("tier", "part", "name"),
    [
        (Tier.OTC, PartName.ATS, "otc_week_2025-11-14.psv"),
        (Tier.NMS_TIER_1, PartName.ATS, "nms_tier_1_week_2025-11-14.psv"),
        (Tier.NMS_TIER_2, PartName.NON_ATS, "nms_tier_2_week_2025-11-14.nonats.psv"),
    ],
)
def test_names_are_tier_and_week_in_lower_case(tier: Tier, part: PartName, name: str) -> None:
    assert file_name(PartitionKey(date(2025, 11, 14), tier), part) == name


def test_a_plain_file_is_the_payload_byte_for_byte(root: Path, source: FilesSource) -> None:
    (root / NAME).write_bytes(CONTENT)
    os.utime(root / NAME, (1_766_000_000, 1_766_000_000.25))
    started = datetime.now(UTC)
    payload = source.fetch(KEY)
    assert (payload.content, payload.format, payload.uri) == (CONTENT, PayloadFormat.PSV, f"files:{NAME}")
    assert payload.updated_at == datetime(2025, 12, 17, 19, 33, 20, 250_000, tzinfo=UTC)
    assert started <= payload.fetched_at <= datetime.now(UTC)
    assert payload.fetched_at.tzinfo is UTC


@each_compression
def test_the_same_content_has_one_hash_however_compressed(
    suffix: str, compress: Compress, root: Path, source: FilesSource
) -> None:
    (root / f"{NAME}{suffix}").write_bytes(compress(CONTENT))
    payload = source.fetch(KEY)
    assert payload.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert payload.uri == f"files:{NAME}{suffix}"


def test_ats_and_non_ats_files_are_one_payload(root: Path, source: FilesSource) -> None:
    (root / NAME).write_bytes(CONTENT)
    (root / f"{NON_ATS}.gz").write_bytes(gzip.compress(b"firms\n"))
    os.utime(root / NAME, (1_000, 1_000))
    os.utime(root / f"{NON_ATS}.gz", (2_000, 2_000))
    payload = source.fetch(KEY)
    parts = unpack(payload.content, payload.format)
    assert [(part.name, part.content) for part in parts] == [(PartName.ATS, CONTENT), (PartName.NON_ATS, b"firms\n")]
    assert payload.uri == f"files:{NAME}+{NON_ATS}.gz"
    assert payload.updated_at == datetime.fromtimestamp(2_000, UTC)


def test_a_non_ats_file_alone_is_a_payload_of_that_part(root: Path, source: FilesSource) -> None:
    (root / NON_ATS).write_bytes(b"firms\n")
    payload = source.fetch(KEY)
    assert [(part.name, part.content) for part in unpack(payload.content, payload.format)] == [
        (PartName.NON_ATS, b"firms\n")
    ]
    assert payload.uri == f"files:{NON_ATS}"


def test_an_empty_file_is_an_empty_payload(root: Path, source: FilesSource) -> None:
    (root / NAME).touch()
    assert source.fetch(KEY).content == b""


def test_a_partition_without_a_file_is_not_published(root: Path, source: FilesSource) -> None:
    (root / "otc_week_2025-11-21.psv").write_bytes(CONTENT)
    with pytest.raises(NotPublished, match=r"^the source folder has no otc_week_2025-11-14\.psv \(nor \.gz, "):
        source.fetch(KEY)


@pytest.mark.parametrize("name", [NAME, NON_ATS])
@pytest.mark.parametrize("pair", [("", ".gz"), ("", ".zst"), (".gz", ".zst")])
def test_two_variants_of_one_file_are_refused_by_name(
    name: str, pair: tuple[str, str], root: Path, source: FilesSource
) -> None:
    for suffix in pair:
        (root / f"{name}{suffix}").write_bytes(CONTENT)
    with pytest.raises(SourceError) as refused:
        source.fetch(KEY)
    assert str(refused.value) == (
        f"{name}{pair[0]} and {name}{pair[1]} are both there: remove the one that is not meant"
    )


@pytest.mark.parametrize("name", [NAME, f"{NAME}.gz", f"{NAME}.zst", NON_ATS, f"{NON_ATS}.gz", f"{NON_ATS}.zst"])
def test_any_variant_makes_a_partition_available(name: str, root: Path, source: FilesSource) -> None:
    (root / name).write_bytes(CONTENT)
    assert source.available([KEY, TIER_1]) == {KEY}


def test_files_of_other_names_make_nothing_available(root: Path, source: FilesSource) -> None:
    for name in ("OTC_week_2025-11-14.psv", f"{NAME}.bak", f"{NAME}.gz.part", f".{NAME}", "otc_week_2025-11-15.psv"):
        (root / name).write_bytes(CONTENT)
    assert source.available([KEY, TIER_1]) == set()


def test_availability_is_for_the_keys_asked_only(root: Path, source: FilesSource) -> None:
    (root / NAME).write_bytes(CONTENT)
    assert source.available([]) == set()
    assert source.available([TIER_1]) == set()


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_bytes(b"")], ids=["missing", "a file"])
def test_a_root_that_is_no_folder_names_the_setting(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "absent")
    source = FilesSource(tmp_path / "absent", CAP)
    expected = f"^the source folder {tmp_path}/absent does not exist: create it, or set MARKETSPINE_SOURCE_DIR$"
    with pytest.raises(SourceError, match=expected):
        source.available([KEY])
    with pytest.raises(SourceError, match=expected):
        source.fetch(KEY)


def test_two_files_within_the_cap_are_refused_when_together_they_are_not(root: Path) -> None:
    (root / NAME).write_bytes(b"a" * 60)
    (root / NON_ATS).write_bytes(b"b" * 41)
    with pytest.raises(UnsafeSource, match=r"^the files of 2025-11-14 OTC have 101 bytes together, more than the 100 "):
        FilesSource(root, 100).fetch(KEY)
    assert len(unpack(*_fetched(FilesSource(root, 101)))) == 2


def _fetched(source: FilesSource) -> tuple[bytes, PayloadFormat]:
    payload = source.fetch(KEY)
    return payload.content, payload.format


@pytest.mark.parametrize("name", ["OTC week (1).csv", "export", NAME])
def test_a_single_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(CONTENT)
    payload = SingleFile(tmp_path / name, KEY, CAP).fetch(KEY)
    assert (payload.content, payload.format, payload.uri) == (CONTENT, PayloadFormat.PSV, f"upload:{name}")


@pytest.mark.parametrize("named_so", [True, False], ids=["by suffix", "by content"])
@each_compression
def test_a_single_file_is_decompressed_whether_or_not_its_name_says_so(
    suffix: str, compress: Compress, named_so: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"otc.csv{suffix if named_so else ''}"
    path.write_bytes(compress(CONTENT))
    assert SingleFile(path, KEY, CAP).fetch(KEY).content == CONTENT


def test_a_single_file_that_only_its_name_calls_compressed_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "otc.csv.gz").write_bytes(CONTENT)
    with pytest.raises(SourceError, match=r"^otc\.csv\.gz is cut short or damaged: Not a gzipped file"):
        SingleFile(tmp_path / "otc.csv.gz", KEY, CAP).fetch(KEY)


def test_a_single_file_is_for_its_own_partition_only(tmp_path: Path) -> None:
    (tmp_path / "otc.csv").write_bytes(CONTENT)
    source = SingleFile(tmp_path / "otc.csv", KEY, CAP)
    assert source.available([KEY, TIER_1]) == {KEY}
    with pytest.raises(NotPublished, match=r"^the file is for 2025-11-14 OTC only$"):
        source.fetch(TIER_1)


def test_a_single_file_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "otc.csv").write_bytes(CONTENT)
    (tmp_path / "latest").symlink_to("otc.csv")
    payload = SingleFile(tmp_path / "latest", KEY, CAP).fetch(KEY)
    assert (payload.content, payload.uri) == (CONTENT, "upload:latest")


def test_a_single_file_whose_name_is_not_utf8_has_a_storable_uri(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.psv"))
    path.write_bytes(CONTENT)
    assert SingleFile(path, KEY, CAP).fetch(KEY).uri == "upload:caf\N{REPLACEMENT CHARACTER}.psv"


def test_real_files_are_delivered_as_downloaded(shared_data: Path) -> None:
    payload = FilesSource(shared_data, 10**8).fetch(KEY)
    assert payload.content == (shared_data / NAME).read_bytes()
    assert payload.content.startswith(b"tierDescription|issueSymbolIdentifier|issueName|")
