"""Decompression: whole content or a refusal, and never more than the cap."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.finra.sources.base import SourceError, UnsafeSource
from pipeline.finra.sources.files.compression import Compression, decompress

CONTENT = b"".join(b"OTC|SYM%d|Issue %d|%d\n" % (n, n * n, n * 7919) for n in range(20_000))
CAP = 10**6


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


def zstd_of_unknown_size(content: bytes) -> bytes:
    """As a pipe writes it: the frame does not say how large its content is; with a checksum."""
    return zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compress(content)


def skippable(note: bytes) -> bytes:
    return b"\x50\x2a\x4d\x18" + len(note).to_bytes(4, "little") + note


COMPRESSORS = [(Compression.GZIP, gzip.compress), (Compression.ZSTD, zstd), (Compression.ZSTD, zstd_of_unknown_size)]
each_compressor = pytest.mark.parametrize(("kind", "compress"), COMPRESSORS, ids=["gz", "zst", "zst of unknown size"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.psv", ""), ("a.psv.gz", ".gz"), ("A.PSV.GZ", ".gz"), ("a.zst", ".zst"), ("gz", ""), ("a.gz.psv", "")],
)
def test_compression_by_suffix(name: str, kind: str) -> None:
    assert Compression.by_suffix(name) == kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (CONTENT, ""),
        (b"", ""),
        (gzip.compress(b"", mtime=0), ".gz"),
        (zstd(b""), ".zst"),
        (skippable(b"pzstd") + zstd(b""), ".zst"),
    ],
    ids=["text", "empty", "gzip", "zstd", "pzstd"],
)
def test_compression_by_the_first_bytes(content: bytes, kind: str) -> None:
    assert Compression.by_magic(content) == kind


@each_compressor
@given(members=st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_members_and_frames_are_read_as_one(
    kind: Compression, compress: Callable[[bytes], bytes], members: list[bytes]
) -> None:
    compressed = b"".join(map(compress, members))
    assert decompress(compressed, kind, "f", CAP) == b"".join(members)


def test_notes_between_zstd_frames_are_skipped() -> None:
    compressed = skippable(b"made by pzstd") + zstd(b"first\n") + skippable(b"") + zstd(b"second\n")
    assert decompress(compressed, Compression.ZSTD, "f", CAP) == b"first\nsecond\n"


@pytest.mark.parametrize("flushes", [1, 7])
def test_a_zstd_frame_of_many_blocks_is_whole(flushes: int) -> None:
    written = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(written, closefd=False) as stream:
        for _ in range(flushes):
            stream.write(b"\0" * 200_000 + CONTENT[:1000])
            stream.flush()
    content = (b"\0" * 200_000 + CONTENT[:1000]) * flushes
    assert decompress(written.getvalue(), Compression.ZSTD, "f", 2 * CAP) == content


@each_compressor
def test_every_cut_of_a_small_file_is_refused(kind: Compression, compress: Callable[[bytes], bytes]) -> None:
    compressed = compress(CONTENT[:500])
    for length in range(len(compressed)):
        with pytest.raises(SourceError, match=r"^f is cut short or damaged: .+; fetch it again$"):
            decompress(compressed[:length], kind, "f", CAP)


@pytest.mark.parametrize("lost", [1, 5, 1000, 50_000])
@each_compressor
def test_a_cut_of_a_large_file_is_refused(kind: Compression, compress: Callable[[bytes], bytes], lost: int) -> None:
    compressed = compress(CONTENT)
    with pytest.raises(SourceError, match=r"^f is cut short or damaged: "):
        decompress(compressed[:-lost], kind, "f", CAP)


def test_a_cut_second_frame_is_refused() -> None:
    with pytest.raises(SourceError, match=r"^f is cut short or damaged: its last frame is not whole; "):
        decompress(zstd(CONTENT) + zstd(CONTENT)[:-9], Compression.ZSTD, "f", 2 * CAP)


def test_a_cut_note_is_refused() -> None:
    with pytest.raises(SourceError, match=r"^f is cut short or damaged: "):
        decompress(zstd(CONTENT) + skippable(b"made by pzstd")[:-1], Compression.ZSTD, "f", CAP)


@pytest.mark.parametrize("kind", [Compression.GZIP, Compression.ZSTD])
@pytest.mark.parametrize("content", [b"", b"plain text\n", b"<html></html>"], ids=["empty", "text", "html"])
def test_what_was_never_compressed_is_refused(kind: Compression, content: bytes) -> None:
    with pytest.raises(SourceError, match=r"^f is cut short or damaged: "):
        decompress(content, kind, "f", CAP)


@each_compressor
def test_what_follows_the_last_member_is_refused(kind: Compression, compress: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SourceError, match=r"^f is cut short or damaged: "):
        decompress(compress(CONTENT) + b"rubbish", kind, "f", CAP)


def test_a_flipped_bit_is_found_by_the_checksum() -> None:
    for kind, compressed in [
        (Compression.GZIP, gzip.compress(CONTENT, mtime=0)),
        (Compression.ZSTD, zstd_of_unknown_size(CONTENT)),
    ]:
        middle = len(compressed) // 2
        damaged = compressed[:middle] + bytes([compressed[middle] ^ 1]) + compressed[middle + 1 :]
        with pytest.raises(SourceError, match=r"^f is cut short or damaged: "):
            decompress(damaged, kind, "f", CAP)


@each_compressor
def test_the_cap_is_the_last_size_allowed(kind: Compression, compress: Callable[[bytes], bytes]) -> None:
    assert len(decompress(compress(b"x" * 1000), kind, "f", 1000)) == 1000
    with pytest.raises(UnsafeSource) as refused:
        decompress(compress(b"x" * 1001), kind, "f", 1000)
    assert str(refused.value) == (
        "f is larger than 1000 bytes when decompressed: if that is right, raise MARKETSPINE_MAX_FILE_BYTES"
    )


@each_compressor
def test_a_bomb_is_not_inflated_beyond_the_cap(kind: Compression, compress: Callable[[bytes], bytes]) -> None:
    """300 MB of zeros in a few hundred kilobytes: at no moment is more than a few times the cap allocated."""
    bomb = compress(bytes(10**7)) * 30
    tracemalloc.start()
    try:
        with pytest.raises(UnsafeSource, match=r"^f is larger than 1000000 bytes when decompressed"):
            decompress(bomb, kind, "f", CAP)
        assert tracemalloc.get_traced_memory()[1] < 5 * CAP
    finally:
        tracemalloc.stop()


def test_a_zstd_frame_that_claims_a_huge_size_allocates_nothing_for_it() -> None:
    claim = b"\xe0" + (2**40).to_bytes(8, "little")  # single segment, 8 bytes of content size (RFC 8878, 3.1.1.1)
    with pytest.raises(SourceError, match=r"^f is cut short or damaged: "):
        decompress(zstandard.FRAME_HEADER + claim + b"\1\0\0", Compression.ZSTD, "f", CAP)
