"""What is no text is told by what it is, and text never is."""

from __future__ import annotations

import pytest

from pipeline.finra import signatures
from pipeline.finra.payloads import tar_of


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (tar_of([("otc.psv", b"a|b")]), "a tar archive: unpack it, and take the file that is in it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook: save the sheet"),
        (b"PAR1\x15\x04", "a Parquet file"),
        ("a|b".encode("utf-16-le"), "UTF-16 text: save it as UTF-8"),
        (b"", ""),
        (b"\0", ""),
        (b"\xef\xbb\xbftierDescription|x", ""),
        (b"PK|a symbol\n", ""),
        (b"<html>", ""),
    ],
)
def test_the_first_bytes_say_what_a_file_is(content: bytes, said: str) -> None:
    assert (signatures.file_kind(content) or "").startswith(said)
    assert bool(signatures.file_kind(content)) == bool(said)
