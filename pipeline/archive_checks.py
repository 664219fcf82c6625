"""Whether the archive still has, whole, the payload of every capture: what is lost, and what that stands against.

The rows of a capture whose payload is lost are stored, and the evidence for them is not. Existence is looked at for all
payloads at once, by listing folders; that they are what was archived, by reading some of them each time, in turn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from pipeline.models import Capture, PayloadCheck, PayloadState
from pipeline.vintages import archive
from pipeline.vintages.archive import ArchiveDamaged

MANY = 20  # from so many partitions on, and where most is lost, one finding for all: it is the archive that is gone


@dataclass(frozen=True, slots=True)
class Lost:
    """A capture whose payload the archive lacks, or has damaged, with no other capture of the same content to show."""

    capture: Capture
    state: PayloadState
    since: datetime

    @property
    def told(self) -> str:
        """What is wrong, and which file."""
        wrong = "is not in the archive" if self.state is PayloadState.MISSING else "is damaged in the archive"
        return f"the payload of {self.capture} {wrong} ({archive.path_of(self.capture.payload_sha256)})"

    @property
    def is_newest(self) -> bool:
        """Whether the source may still have it: it offers the newest version of a partition only."""
        return self.capture.version == self.capture.partition.newest_version


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the archive has of the captures' payloads.

    `gone` says in one sentence that it has hardly any, or cannot be asked; it is empty where it has most.
    """

    payloads: int
    present: frozenset[str]
    lost: tuple[Lost, ...]
    gone: str = ""


def holdings() -> Holdings:
    """What the archive has now, less what was damaged when it was last read. Reads only."""
    captures = _captures()
    hashes = {capture.payload_sha256 for capture in captures}
    known = PayloadCheck.objects.in_bulk(hashes)
    try:
        present = archive.present(hashes)
    except ArchiveDamaged as damage:
        return Holdings(len(hashes), frozenset(), tuple(_lost(captures, known, set())), str(damage))
    lost = tuple(_lost(captures, known, present))
    return Holdings(len(hashes), frozenset(present), lost, _gone(hashes, present, lost))


def recorded() -> list[Lost]:
    """What was lost when the archive was last looked at: the storage is not asked."""
    lost = PayloadCheck.objects.exclude(state=PayloadState.WHOLE)
    known = {check.sha256: check for check in lost}
    if not known:
        return []
    captures = _captures()
    missing = {sha256 for sha256, check in known.items() if check.state == PayloadState.MISSING}
    return _lost(captures, known, {capture.payload_sha256 for capture in captures} - missing)


def _captures() -> list[Capture]:
    """All whose rows have not been given up, by week, tier and version."""
    kept = Capture.objects.filter(pruned_at__isnull=True).select_related("partition")
    return list(kept.order_by("partition__week_ending", "partition__tier", "version"))


def put_back(content: bytes, sha256: str) -> bool:
    """Archive what a source delivers where a capture, any, was made of just these bytes and the archive has lost them."""
    if not Capture.objects.filter(payload_sha256=sha256).exists() or not archive.put_back(content, sha256):
        return False
    PayloadCheck.objects.filter(sha256=sha256).update(state=PayloadState.WHOLE, since=timezone.now(), read_at=None)
    return True


def read_in_turn(number: int) -> list[str]:
    """Read so many payloads whole: those known to be damaged, then those not read for longest. Those that are damaged."""
    try:
        present = archive.present({capture.payload_sha256 for capture in _captures()})
    except ArchiveDamaged:
        return []
    known = PayloadCheck.objects.in_bulk(present)
    turn = sorted(present, key=lambda sha256: _turn(known.get(sha256), sha256))[:number]
    found = {sha256: archive.is_whole(sha256) for sha256 in turn}
    now = timezone.now()
    _record({s: PayloadState.WHOLE if whole else PayloadState.DAMAGED for s, whole in found.items()}, read_at=now)
    return [sha256 for sha256, whole in found.items() if not whole]


def record_existence(held: Holdings) -> None:
    """Keep what was found missing, and what is there again: its turn to be read comes first."""
    missed = set(PayloadCheck.objects.filter(state=PayloadState.MISSING).values_list("sha256", flat=True))
    missing = {one.capture.payload_sha256 for one in held.lost} - held.present
    _record(dict.fromkeys(missing - missed, PayloadState.MISSING), read_at=None)
    _record(dict.fromkeys(missed & held.present, PayloadState.WHOLE), read_at=None)


def _record(states: Mapping[str, PayloadState], read_at: datetime | None) -> None:
    now = timezone.now()
    same = {
        check.sha256: check.since
        for check in PayloadCheck.objects.filter(pk__in=states)
        if check.state == states[check.sha256]
    }
    PayloadCheck.objects.bulk_create(
        [PayloadCheck(sha256=s, state=state, since=same.get(s, now), read_at=read_at) for s, state in states.items()],
        500,
        update_conflicts=True,
        unique_fields=["sha256"],
        update_fields=["state", "since", "read_at"],
    )


def _turn(check: PayloadCheck | None, sha256: str) -> tuple[int, float, str]:
    """Damaged ones first, for they may have been mended; then those never read; then those not read for longest."""
    if check is None or check.read_at is None:
        return (1, 0, sha256)
    return (0 if check.state == PayloadState.DAMAGED else 2, check.read_at.timestamp(), sha256)


def _lost(captures: Sequence[Capture], known: Mapping[str, PayloadCheck], present: Collection[str]) -> list[Lost]:
    found = [(capture, state) for capture in captures if (state := _state(capture, known, present))]
    lost = {capture.pk for capture, _ in found}
    shown = {(c.partition_id, c.content_hash) for c in captures if c.pk not in lost}
    return [
        Lost(capture, state, _since(known.get(capture.payload_sha256), state))
        for capture, state in found
        if (capture.partition_id, capture.content_hash) not in shown
    ]


def _since(check: PayloadCheck | None, state: PayloadState) -> datetime:
    return check.since if check is not None and check.state == state else timezone.now()


def _state(capture: Capture, known: Mapping[str, PayloadCheck], present: Collection[str]) -> PayloadState | None:
    if capture.payload_sha256 not in present:
        return PayloadState.MISSING
    check = known.get(capture.payload_sha256)
    return PayloadState.DAMAGED if check is not None and check.state == PayloadState.DAMAGED else None


def _gone(hashes: Collection[str], present: Collection[str], lost: Collection[Lost]) -> str:
    partitions = len({one.capture.partition_id for one in lost})
    missing = len(hashes) - len(present)
    is_gone = (partitions > 1 and not present) or (partitions > MANY and missing * 2 > len(hashes))
    if not is_gone:
        return ""
    has = f"has {len(present):,} of the" if present else "has none of the"
    return f"the archive {has} {len(hashes):,} payloads that were captured"
