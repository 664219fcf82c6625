"""A page as FINRA sends it, and how pages make a payload.

The payload is a plain POSIX tar: each page's body, byte for byte, in the order of its query, then `requests.json` with
what was asked and answered. It can be read again for ever.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.finra.payloads import tar_blocks, tar_end
from pipeline.finra.zstd import Compressing

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

    @property
    def member(self) -> str:
        """Its name in a payload."""
        return f"{self.query}/{self.offset:06d}.json"


@dataclass(frozen=True, slots=True)
class Packed:
    """The bytes of a payload in their pieces, their SHA-256, and as a zstd frame."""

    pieces: tuple[bytes, ...]
    sha256: str
    compressed: bytes

    @property
    def content(self) -> bytes:
        """All of the bytes, put together each time."""
        return b"".join(self.pieces)


class Packing:
    """Makes the payload of a partition, hashed and compressed while its pages come: the last costs no more than itself.

    Pages come in any order, from several threads, and wait for nothing: a thread of its own packs each when it is its turn,
    in the order of the `queries`, each up to its total.
    """

    def __init__(self, queries: Sequence[str]) -> None:
        self._places = {query: place for place, query in enumerate(queries)}
        self._turn = (0, 0)
        self._waiting: dict[tuple[int, int], Page] = {}
        self._pieces: list[bytes] = []
        self._digest = hashlib.sha256()
        self._compressing = Compressing()
        self._requests: list[dict[str, str | int]] = []
        self._packer = ThreadPoolExecutor(1, thread_name_prefix="finra-pack")
        self._added: list[Future[None]] = []

    def add(self, page: Page) -> None:
        """Take a page; one without a body says that its query has no rows."""
        self._added.append(self._packer.submit(self._pack, page))

    def _pack(self, page: Page) -> None:
        self._waiting[self._places[page.query], page.offset] = page
        while (following := self._waiting.pop(self._turn, None)) is not None:
            self._append(following)
            is_last = following.end >= following.total
            self._turn = (self._turn[0] + 1, 0) if is_last else (self._turn[0], following.end)

    def finish(self) -> Packed:
        """The payload. Its bytes hold request ids: two fetches of the same rows are two payloads.

        It has all pages that came, also where others are missing.
        """
        self._packer.shutdown()
        for page in self._added:
            page.result()
        for turn in sorted(self._waiting):
            self._append(self._waiting.pop(turn))
        self._write(*tar_blocks(REQUESTS, json.dumps(self._requests, indent=1).encode()))
        self._write(tar_end(sum(map(len, self._pieces))))
        return Packed(tuple(self._pieces), self._digest.hexdigest(), self._compressing.finish())

    def _append(self, page: Page) -> None:
        if page.body:
            self._requests.append(
                {"member": page.member, "rows": page.rows, "total": page.total, "request_id": page.request_id}
            )
            self._write(*tar_blocks(page.member, page.body))

    def _write(self, *blocks: bytes) -> None:
        for block in blocks:
            self._pieces.append(block)
            self._digest.update(block)
            self._compressing.add(block)


def unpack_pages(content: bytes) -> Iterator[bytes]:
    """The bodies of a payload's pages, in their order."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for member in archive:
            extracted = archive.extractfile(member)
            if member.name != REQUESTS and extracted is not None:
                yield extracted.read()
