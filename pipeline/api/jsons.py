"""JSON as the API writes it. msgspec writes a page of 10,000 rows in a tenth of the time of `json`."""

from __future__ import annotations

import msgspec


def dumps(value: object) -> bytes:
    """One document. Days and instants as RFC 3339 has them, decimals as text; what is no number becomes null."""
    return _ENCODER.encode(value)


def written(content: bytes) -> object:
    """What is JSON already, for a place within a document."""
    return msgspec.Raw(content)


_ENCODER = msgspec.json.Encoder(decimal_format="string")
