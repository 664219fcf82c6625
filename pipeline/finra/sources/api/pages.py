"""A page as FINRA sends it, and how pages make a payload.

The payload is a plain POSIX tar: `requests.json` with what was asked and answered, then each page's body, byte for byte,
in the order of its query. It can be read again for ever.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.finra.payloads import tar_of

REQUESTS = "requests.json"


@dataclass(frozen=True, slots=True)
class Page:
    """The rows that a query has from `offset` on, as many as fitted, of `total`. `body` is what FINRA sent."""

    query: str
    offset: int
    rows: int
    total: int
    request_id: str
    body: bytes

    @property
    def end(self) -> int:
        """Where the next page begins."""
        return self.offset + self.rows


def pack_pages(pages: Sequence[Page]) -> bytes:
    """The payload of a partition. Its bytes hold request ids: two fetches of the same rows are two payloads."""
    index = [
        {"member": _member(page), "rows": page.rows, "total": page.total, "request_id": page.request_id}
        for page in pages
    ]
    return tar_of([(REQUESTS, json.dumps(index, indent=1).encode()), *((_member(page), page.body) for page in pages)])


def unpack_pages(content: bytes) -> Iterator[bytes]:
    """The bodies of a payload's pages, in their order."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for member in archive:
            extracted = archive.extractfile(member)
            if member.name != REQUESTS and extracted is not None:
                yield extracted.read()


def _member(page: Page) -> str:
    return f"{page.query}/{page.offset:06d}.json"
