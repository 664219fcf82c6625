"""A payload that has arrived for a partition: read once, however often it is decided on, compressed and encoded beside that.

Compressing takes a twentieth of the work of a capture, needs nothing that is decided, and leaves Python to others meanwhile:
with a core to spare it takes no time of its own. So does encoding the rows, while it is asked whether they are plausible.
A payload of other bytes than are held is archived, unless its rows are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.utils import timezone
from django.utils.functional import cached_property

from pipeline.capture.results import Times
from pipeline.finra import zstd
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.content import Content
from pipeline.finra.payloads import Payload
from pipeline.models import Capture
from pipeline.vintages import archive, payloads, store
from pipeline.vintages.store import Unlabelled

T = TypeVar("T")


class Arrival:
    """A payload, the partition that it was fetched for, and the name of its source; when it was read goes to `times`.

    `held` is the partition's newest capture, where it was made of the same bytes.
    """

    def __init__(self, payload: Payload, key: PartitionKey, source: str, times: Times) -> None:
        self.payload, self.key, self.source = payload, key, source
        self.held: Capture | None = None
        self._times = times
        self._compressed: Callable[[], bytes] | None = None
        self.encoded: Callable[[], Unlabelled] | None = None

    def compress(self) -> None:
        """Begin to compress it, in a thread that ends with that, unless its source did that."""
        if self.payload.compressed is None:
            self._compressed = _begun(lambda: zstd.compressed(self.payload.content))

    @cached_property
    def content(self) -> Content:
        """What it holds. UnreadablePayload."""
        content = payloads.read_fetched(self.payload, self.key)
        self._times.parsed_at = timezone.now()
        return content

    def encode(self) -> None:
        """Begin to encode its rows, in a thread that ends with that."""
        self.encoded = self.encoded or _begun(lambda: store.encode(self.content.keyed))

    def archive(self) -> None:
        """Have it in the archive, whole and on the disk."""
        archive.put_compressed(self._frame, self.payload.sha256)

    def _frame(self) -> bytes:
        """Its zstd frame: from its source, from the thread, or made now, where the bytes were held already."""
        if self.payload.compressed is not None:
            return self.payload.compressed
        return self._compressed() if self._compressed else zstd.compressed(self.payload.content)


def _begun(work: Callable[[], T]) -> Callable[[], T]:
    """Begin some work in a thread that ends with it; what waits for its result."""
    executor = ThreadPoolExecutor(max_workers=1)
    future = executor.submit(work)
    executor.shutdown(wait=False)
    return future.result
