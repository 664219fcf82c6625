"""Whether the archive still has, whole, the files that each capture needs: what is lost, and what that stands against.

A payload is the evidence for the rows, a vintage file holds them. Existence is looked at for all files at once, by listing
folders; that they are what was written, by reading some of them each time, in turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import QuerySet
from django.utils import timezone

from pipeline.finra.payloads import Payload
from pipeline.models import Capture, FileCheck, FileState, Stage
from pipeline.vintages import archive, file_checks, store
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.files import StorageAway
from pipeline.vintages.store import VintageDamaged

READ_AT_ONCE = 200
MANY = 20  # from so many partitions on, and where most is lost, one finding for all: it is the archive that is gone


class FileKind(StrEnum):
    """The kinds of files that a capture needs."""

    PAYLOAD = "payload"
    VINTAGE = "vintage file"


@dataclass(frozen=True, slots=True)
class Needed:
    """A file that a capture needs."""

    kind: FileKind
    capture: Capture

    @property
    def sha256(self) -> str:
        """The hash that the capture records: of the payload, or of the vintage file."""
        return self.capture.payload_sha256 if self.kind is FileKind.PAYLOAD else self.capture.vintage_sha256

    @property
    def path(self) -> str:
        """Where it is kept."""
        return (
            archive.path_of(self.capture.payload_sha256) if self.kind is FileKind.PAYLOAD else self.capture.vintage_path
        )

    @property
    def stage(self) -> Stage:
        """The stage that the file proves."""
        return Stage.RAW if self.kind is FileKind.PAYLOAD else Stage.NORMALIZED

    def is_whole(self) -> bool:
        """Whether it is there and what was written; it is read whole. StorageAway."""
        if self.kind is FileKind.PAYLOAD:
            return archive.is_whole(self.sha256)
        try:
            store.verify(self.capture)
        except StorageAway:
            raise
        except (VintageDamaged, OSError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Lost:
    """A file that the archive lacks or has damaged.

    A payload is lost only where no other capture of its partition has the same content and a payload to show for it.
    """

    needed: Needed
    state: FileState
    since: datetime

    @property
    def capture(self) -> Capture:
        """Whose file it is."""
        return self.needed.capture

    @property
    def is_payload(self) -> bool:
        """Whether it is a payload, which only a source or a backup brings back; a vintage file is made again."""
        return self.needed.kind is FileKind.PAYLOAD

    @property
    def sentence(self) -> str:
        """The loss as a sentence, with the file."""
        wrong = "is not in the archive" if self.state is FileState.MISSING else "is damaged in the archive"
        return f"the {self.needed.kind} of {self.capture} {wrong} ({self.needed.path})"

    @property
    def is_newest(self) -> bool:
        """Whether the source may still have it: it offers the newest version of a partition only."""
        return self.capture.version == self.capture.partition.newest_version


@dataclass(frozen=True, slots=True)
class Count:
    """How many different files of a kind the captures need, and how many of them are there."""

    needed: int
    present: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """The files of captures in the archive. `present` are the hashes of those that are there.

    `gone` says in one sentence that it has hardly any payload, or cannot be asked; it is None where it has most.
    """

    counts: Mapping[FileKind, Count]
    present: frozenset[str]
    lost: tuple[Lost, ...]
    gone: str | None = None


def holdings() -> Holdings:
    """The files that are there now, less those that were damaged when last read. Reads only."""
    files = _needed()
    known = FileCheck.objects.in_bulk({file.sha256 for file in files})
    try:
        present = _present(files)
    except (ArchiveDamaged, StorageAway) as damage:
        told = damage.strerror if isinstance(damage, StorageAway) else str(damage)
        return Holdings(_counts(files, set()), frozenset(), tuple(_lost(files, known, set())), told)
    lost = tuple(_lost(files, known, present))
    counts = _counts(files, present)
    return Holdings(counts, frozenset(present), lost, _gone(counts[FileKind.PAYLOAD], lost))


def recorded() -> list[Lost]:
    """The losses of the last check of the archive: the storage is not asked."""
    known = {check.sha256: check for check in FileCheck.objects.exclude(state=FileState.WHOLE)}
    if not known:
        return []
    files = _needed()
    missing = {sha256 for sha256, check in known.items() if check.state == FileState.MISSING}
    return _lost(files, known, {file.sha256 for file in files} - missing)


def _needed() -> list[Needed]:
    """The payloads that are to be kept, and the files of captures whose rows are; by week, tier and version."""
    kept = Capture.objects.with_payload().select_related("partition")
    captures = list(kept.order_by("partition__week_ending", "partition__tier", "version"))
    stored = [capture for capture in captures if capture.normalized_at is not None and capture.pruned_at is None]
    return [Needed(FileKind.PAYLOAD, capture) for capture in captures] + [
        Needed(FileKind.VINTAGE, one) for one in stored
    ]


def _present(files: Iterable[Needed]) -> set[str]:
    """The hashes of the files that are there, whole or not. ArchiveDamaged when the storage cannot be asked."""
    by_path = {file.path: file.sha256 for file in files}
    return {by_path[path] for path in archive.present_files(by_path.keys())}


def _counts(files: Iterable[Needed], present: Collection[str]) -> dict[FileKind, Count]:
    different = {(file.kind, file.sha256) for file in files}
    needed = Counter(kind for kind, _ in different)
    there = Counter(kind for kind, sha256 in different if sha256 in present)
    return {kind: Count(needed[kind], there[kind]) for kind in FileKind}


def made_of(payload_sha256: str | QuerySet[Capture, str]) -> list[Capture]:
    """The captures that were made of a payload, of whichever partition."""
    return list(Capture.objects.filter(payload_sha256=payload_sha256).select_related("partition"))


def is_shown(capture: Capture) -> bool:
    """Whether the archive has a payload that shows the rows of a capture: its own, or that of another with the same rows.

    One that was damaged when it was last read shows nothing. ArchiveDamaged when the storage cannot be asked.
    """
    same = Capture.objects.with_payload().filter(partition=capture.partition_id, content_hash=capture.content_hash)
    hashes = set(same.values_list("payload_sha256", flat=True))
    damaged = FileCheck.objects.filter(sha256__in=hashes, state=FileState.DAMAGED)
    return bool(archive.present(hashes - set(damaged.values_list("sha256", flat=True))))


def lost_of(made_of_it: Collection[Capture]) -> list[Needed]:
    """The files that the archive has lost of the captures that were made of a payload. StorageAway."""
    if not made_of_it:
        return []
    store.check_mounted()
    first, *_ = made_of_it
    payload = [] if archive.is_as_written(first.payload_sha256) else [Needed(FileKind.PAYLOAD, first)]
    stored = (one for one in made_of_it if one.normalized_at is not None and one.pruned_at is None)
    return [*payload, *(Needed(FileKind.VINTAGE, one) for one in stored if _is_lost(one))]


def _is_lost(capture: Capture) -> bool:
    try:
        store.verify(capture)
    except VintageDamaged:
        return True
    return False


def restore(payload: Payload, lost: Iterable[Needed]) -> list[FileKind]:
    """Bring back what `lost_of` found of a payload: its own file first, then the vintage files; which kinds came back."""
    back = [one.kind for one in lost if (_archive(payload) if one.kind is FileKind.PAYLOAD else _mend(one.capture))]
    return list(dict.fromkeys(back))


def _archive(payload: Payload) -> bool:
    """Archive a payload again; whether it was lost, and did not only lack its checksum."""
    was_lost = archive.restore(payload.content, payload.sha256)
    if was_lost:
        FileCheck.objects.filter(sha256=payload.sha256).update(
            state=FileState.WHOLE, since=timezone.now(), read_at=None
        )
    return was_lost


def _mend(capture: Capture) -> bool:
    """Make a vintage file again; whether that was done. One that cannot be is found by the next look."""
    with suppress(VintageDamaged, ArchiveDamaged):
        file_checks.record_read({store.rebuild(capture).sha256: True})
        return True
    return False


def read_in_turn(number: int) -> None:
    """Read so many files whole: those known to be damaged, then those not read for longest; keep what was found.

    The findings are kept after each READ_AT_ONCE files: a reading of all that is cut short goes on from there the next time.
    """
    files = {file.sha256: file for file in _needed()}
    try:
        present = _present(files.values())
    except (ArchiveDamaged, StorageAway):
        return
    known = FileCheck.objects.in_bulk(present)
    turn = sorted(present, key=lambda sha256: _turn(known.get(sha256), sha256))[:number]
    for begin in range(0, len(turn), READ_AT_ONCE):
        found: dict[str, bool] = {}
        with suppress(StorageAway):  # what was read until then is known
            for sha256 in turn[begin : begin + READ_AT_ONCE]:
                found[sha256] = files[sha256].is_whole()
        file_checks.record_read(found)
        if len(found) < len(turn[begin : begin + READ_AT_ONCE]):
            return


def record_existence(held: Holdings) -> None:
    """Keep what was found missing, and what is there again: its turn to be read comes first."""
    missing = {one.needed.sha256 for one in held.lost} - held.present
    file_checks.record_missing(missing, missing | held.present)


def _turn(check: FileCheck | None, sha256: str) -> tuple[int, float, str]:
    """Damaged ones first, for they may have been mended; then those never read; then those not read for longest."""
    if check is None or check.read_at is None:
        return (1, 0, sha256)
    return (0 if check.state == FileState.DAMAGED else 2, check.read_at.timestamp(), sha256)


def _lost(files: Iterable[Needed], known: Mapping[str, FileCheck], present: Collection[str]) -> list[Lost]:
    states = [(file, _state(file, known, present)) for file in files]
    shown = {_content(file) for file, state in states if file.kind is FileKind.PAYLOAD and state is None}
    return [
        Lost(file, state, _since(known.get(file.sha256), state))
        for file, state in states
        if state is not None and not (file.kind is FileKind.PAYLOAD and _content(file) in shown)
    ]


def _content(file: Needed) -> tuple[int, str]:
    return file.capture.partition_id, file.capture.content_hash


def _since(check: FileCheck | None, state: FileState) -> datetime:
    return check.since if check is not None and check.state == state else timezone.now()


def _state(file: Needed, known: Mapping[str, FileCheck], present: Collection[str]) -> FileState | None:
    if file.sha256 not in present:
        return FileState.MISSING
    check = known.get(file.sha256)
    return FileState.DAMAGED if check is not None and check.state == FileState.DAMAGED else None


def _gone(payloads: Count, lost: Collection[Lost]) -> str | None:
    partitions = len({one.capture.partition_id for one in lost if one.is_payload})
    missing = payloads.needed - payloads.present
    is_gone = (partitions > 1 and not payloads.present) or (partitions > MANY and missing * 2 > payloads.needed)
    if not is_gone:
        return None
    has = f"has {payloads.present:,} of the" if payloads.present else "has none of the"
    return f"the archive {has} {payloads.needed:,} payloads that were captured"
