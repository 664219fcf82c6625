"""A zstd frame of bytes that come in pieces: it says its size, so that every reader knows how much memory it needs."""

from __future__ import annotations

import pyarrow as pa
import pytest
import zstandard

from pipeline.finra.zstd import Compressing


@pytest.mark.parametrize(
    "pieces",
    [[], [b""], [b"a"], [b"", b"ab", b"", b"c"], [bytes(range(256))] * 9, [b"a" * 3_000_000, b"b" * 70_000]],
    ids=["none", "empty", "one byte", "some empty", "some hundred bytes", "more than a window"],
)
def test_pieces_make_one_frame_that_says_its_size(pieces: list[bytes]) -> None:
    compressing, content = Compressing(), b"".join(pieces)
    for piece in pieces:
        compressing.add(piece)
    frame = compressing.finish()
    assert zstandard.get_frame_parameters(frame).content_size == len(content)
    assert zstandard.ZstdDecompressor().decompress(frame) == content
    assert pa.Codec("zstd").decompress(frame, decompressed_size=len(content)).to_pybytes() == content
