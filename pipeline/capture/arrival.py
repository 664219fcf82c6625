"""A payload that has arrived for a partition: read once, however often it is decided on.

Three things take most of the time of a capture, need nothing that the ledger says, and leave Python to others meanwhile:
reading the payload, encoding its rows, and compressing its bytes. Each is begun in a thread as soon as the bytes are known
to be new, and goes on beside the questions to the ledger, the hashes and the comparison. For a payload that is refused, and
for one with the rows that are held, some of it is done for nothing: both are rare.
A payload of other bytes than are held is archived, unless its rows are the same.
"""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone
from django.utils.functional import cached_property

from pipeline.capture.begun import begun
from pipeline.capture.results import Times
from pipeline.finra import zstd
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.content import Content
from pipeline.finra.payloads import Payload
from pipeline.models import Capture
from pipeline.vintages import archive, payloads, store
from pipeline.vintages.store import Unlabelled


class Arrival:
    """A payload, the partition that it was fetched for, and the name of its source; when it was read goes to `times`.

    It is hashed from the first moment on. `held` is the partition's newest capture at that time.
    """

    def __init__(self, payload: Payload, key: PartitionKey, source: str, times: Times) -> None:
        self.payload, self.key, self.source = payload, key, source
        self.held: Capture | None = None
        self.encoded: Callable[[], Unlabelled] | None = None
        self._times = times
        self._hashed = begun(lambda: payload.sha256)
        self._compressed: Callable[[], bytes] | None = None

    @property
    def sha256(self) -> str:
        """The payload's hash."""
        return self._hashed()

    def compress(self) -> None:
        """Begin to compress it, unless its source did that."""
        if self.payload.compressed is None:
            self._compressed = begun(lambda: zstd.compressed(self.payload.content))

    def read(self, *, encode: bool) -> None:
        """Begin to read it, and then to encode its rows, if they are to be stored."""
        read = self._read
        if encode and self.encoded is None:
            self.encoded = begun(lambda: store.encode(read().keyed))

    @cached_property
    def _read(self) -> Callable[[], Content]:
        """Waits for its content. The first to ask begins to read it."""
        return begun(lambda: payloads.read_fetched(self.payload, self.key))

    @cached_property
    def content(self) -> Content:
        """What it holds. UnreadablePayload."""
        content = self._read()
        self._times.parsed_at = timezone.now()
        return content

    def archive(self) -> None:
        """Have it in the archive, whole and on the disk."""
        archive.put_compressed(self._frame, self.payload.sha256)

    def _frame(self) -> bytes:
        """Its zstd frame: from its source, from the thread, or made now, where the bytes were held already."""
        if self.payload.compressed is not None:
            return self.payload.compressed
        return self._compressed() if self._compressed else zstd.compressed(self.payload.content)
