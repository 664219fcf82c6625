"""Faults: the n-th source, storage or database call of a run fails, once or from then on.

Each kind counts its own calls: payloads are archived in a thread beside the database's work, so the order of two kinds is
not the same from run to run.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any
from unittest.mock import patch

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError, connection

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.payloads import Payload
from pipeline.finra.sources.base import Source, TransientSourceError
from pipeline.vintages import files


class Fault:
    """Counts calls, and says which fail: the `at`-th, and with `lasting` all after it. `at` 0: none."""

    def __init__(self, at: int, *, lasting: bool = False) -> None:
        self.at = at
        self.lasting = lasting
        self.calls = 0
        self._lock = threading.Lock()

    @property
    def was_reached(self) -> bool:
        """Whether a call failed."""
        return 0 < self.at <= self.calls

    def strikes(self) -> bool:
        """Count one call; whether it is to fail."""
        with self._lock:
            self.calls += 1
            return self.calls == self.at or (self.lasting and self.was_reached)


class BreakingSource:
    """A source whose calls fail as a network does."""

    def __init__(self, source: Source, fault: Fault) -> None:
        self.name, self.is_near = source.name, source.is_near
        self._source = source
        self._fault = fault

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """What the source says, or the fault."""
        self._call()
        return self._source.available(keys)

    def fetch(self, key: PartitionKey) -> Payload:
        """What the source delivers, or the fault."""
        self._call()
        return self._source.fetch(key)

    def _call(self) -> None:
        if self._fault.strikes():
            raise TransientSourceError("fault: connection reset")


class BreakingStorage(FileSystemStorage):
    """A folder whose calls fail as a full disk does: what is being saved is left half written."""

    fault = Fault(0)

    def exists(self, name: str) -> bool:
        """As the folder says, or the fault."""
        self._call()
        return super().exists(name)

    def open(self, name: str, mode: str = "rb") -> Any:
        """As the folder has it, or the fault."""
        self._call()
        return super().open(name, mode)

    def save(self, name: str | None, content: IO[Any], max_length: int | None = None) -> str:
        """Save all of it, or half of it and fail."""
        if not self.fault.strikes():
            return super().save(name, content, max_length)
        whole = content.read()
        super().save(name, ContentFile(whole[: len(whole) // 2]), max_length)
        raise OSError(errno.ENOSPC, "fault: no space left on device")

    def delete(self, name: str) -> None:
        """Delete it, or the fault."""
        self._call()
        super().delete(name)

    def _call(self) -> None:
        if self.fault.strikes():
            raise OSError(errno.EIO, "fault: input/output error")


@contextmanager
def breaking_storage(fault: Fault) -> Iterator[None]:
    """Let the storage fail so, and files on their way to the disk and to their names; `STORAGES` names BreakingStorage."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(BreakingStorage, "fault", fault))
        for step in ("_flush", "_link", "flush_folders"):
            stack.enter_context(patch.object(files, step, _after(_fill, fault, getattr(files, step))))
        yield


def _fill(fault: Fault) -> None:
    if fault.strikes():
        raise OSError(errno.ENOSPC, "fault: no space left on device")


@contextmanager
def breaking_database(fault: Fault) -> Iterator[None]:
    """Let the database fail so: statements (BEGIN and SAVEPOINT are such), and COMMIT, which then rolls back."""

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        _call(fault)
        return run(sql, params, many, context)

    with ExitStack() as stack:
        stack.enter_context(connection.execute_wrapper(execute))
        stack.enter_context(patch.object(connection, "_commit", _after(_call, fault, connection._commit)))  # type: ignore[attr-defined]
        yield


def _after(fail: Callable[[Fault], None], fault: Fault, act: Callable[..., Any]) -> Callable[..., Any]:
    def acting(*arguments: Any) -> Any:
        fail(fault)
        return act(*arguments)

    return acting


def _call(fault: Fault) -> None:
    if fault.strikes():
        raise OperationalError("fault: server closed the connection unexpectedly")
