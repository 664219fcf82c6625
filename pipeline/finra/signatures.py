"""Files that are no text: their kind, by the first bytes, and the remedy."""

from __future__ import annotations

AGAIN = "it was compressed twice, or its name does not say how it is compressed: decompress it once"
OTHERWISE = "decompress it, and compress it with gzip or zstd if at all"
UNPACK = "unpack it, and take the file that is in it"
SAVE = "save the sheet as pipe-separated UTF-8 text"
AS_UTF8 = "save it as UTF-8 (iconv -f UTF-16 -t UTF-8)"
BEGINNINGS = {
    b"PK\x03\x04": f"a ZIP archive: {UNPACK}",
    b"PK\x05\x06": "an empty ZIP archive",
    b"\x1f\x8b": f"data compressed with gzip: {AGAIN}",
    b"\x28\xb5\x2f\xfd": f"data compressed with zstd: {AGAIN}",
    b"BZh": f"data compressed with bzip2: {OTHERWISE}",
    b"\xfd7zXZ\x00": f"data compressed with xz: {OTHERWISE}",
    b"7z\xbc\xaf\x27\x1c": f"a 7z archive: {UNPACK}",
    b"Rar!\x1a\x07": f"a RAR archive: {UNPACK}",
    b"\xd0\xcf\x11\xe0": f"an old Excel workbook: {SAVE}",
    b"%PDF-": "a PDF document, and not data",
    b"PAR1": "a Parquet file, and not FINRA's pipe-separated one",
    b"SQLite format 3\x00": "a SQLite database, and not FINRA's file",
    b"\xff\xfe\x00\x00": "UTF-32 text: save it as UTF-8 (iconv -f UTF-32 -t UTF-8)",
    b"\xff\xfe": f"UTF-16 text: {AS_UTF8}",
    b"\xfe\xff": f"UTF-16 text: {AS_UTF8}",
}
SEEN = 4096
TAR_MARK = slice(257, 262)
WORKBOOK = (b"[Content_Types].xml", b"xl/")


def file_kind(content: bytes) -> str | None:
    """The kind of file and what to do, "a ZIP archive: unpack it ..."; None where nothing speaks against text."""
    start = content[:SEEN]
    if start.startswith(b"PK\x03\x04") and any(name in start for name in WORKBOOK):
        return f"an Excel workbook: {SAVE}"
    if start[TAR_MARK] == b"ustar":
        return f"a tar archive: {UNPACK}"
    if kinds := [kind for beginning, kind in BEGINNINGS.items() if start.startswith(beginning)]:
        return kinds[0]
    return f"UTF-16 text: {AS_UTF8}" if _has_two_bytes_a_character(start[:64]) else None


def _has_two_bytes_a_character(start: bytes) -> bool:
    """English in UTF-16 without a mark: every other byte is NUL."""
    halves = start[::2], start[1::2]
    return len(start) > 1 and any(half.count(0) == len(half) for half in halves)
