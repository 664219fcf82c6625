"""The footer of a Parquet file, which has its key-value metadata: values are put there when its columns are encoded already.

A file ends in its footer, the footer's length (four bytes, little-endian) and `PAR1`. The footer is in Thrift's compact
protocol: a text is its length as a varint, then its bytes as UTF-8; nothing in a footer points into it.
"""

from __future__ import annotations

from collections.abc import Mapping

END = 8  # bytes behind the footer: its length, and the magic


def with_values(parquet: bytes, values: Mapping[str, str]) -> bytes:
    """A Parquet file in which some values of its metadata are replaced by others. ValueError where one is not there.

    A value is where it stands last: the metadata comes behind the statistics of the columns, which may hold any text.
    """
    begin = len(parquet) - END - int.from_bytes(parquet[-END:-4], "little")
    footer = parquet[begin:-END]
    for old, new in values.items():
        before, found, after = footer.rpartition(_text(old))
        if not found:
            raise ValueError(f"{old!r} is not in the footer")
        footer = before + _text(new) + after
    return parquet[:begin] + footer + len(footer).to_bytes(4, "little") + parquet[-4:]


def _text(text: str) -> bytes:
    content = text.encode()
    size, varint = len(content), b""
    while size >= 128:
        varint, size = varint + bytes([size % 128 + 128]), size // 128
    return varint + bytes([size]) + content
