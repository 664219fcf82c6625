"""Removing marked captures whose undo window has passed: first every guard is looked at again.

Kill-safe: one transaction marks a capture REMOVING and deletes the snapshots that go with it; a second one, under the
partition's lock, removes the files and marks it REMOVED. A removal that was cut short between them is done again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from pipeline.keeping import exclusive, marking, plans
from pipeline.keeping.policy import Policy
from pipeline.models import AnalyticsSnapshot, Capture, EntryState, FileCheck, PruneEntry, Tally, TallyEntry
from pipeline.models.pruning import GONE, IN_WINDOW
from pipeline.vintages import files, store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Removed:
    """A marked capture after the removal: REMOVED, or HELD with the reason."""

    plan: int
    capture: Capture
    state: EntryState
    why: str
    bytes: int


def remove_due(now: datetime | None = None) -> Iterator[Removed]:
    """Remove the captures that are due, one after the other; the result of each.

    StorageAway when the storage is not mounted, Busy while a backup is made: then none is removed.
    """
    due = list(PruneEntry.objects.due(now or timezone.now()).select_related("capture__partition", "plan"))
    if not due:
        return
    store.check_mounted()
    with exclusive.alone():
        for entry in due:
            if found := _remove(entry):
                yield found


def _remove(entry: PruneEntry) -> Removed | None:
    """Remove one capture; None where it was undone meanwhile, or another process removes it."""
    held = _begin(entry) if entry.state in IN_WINDOW else None
    return held or _finish(entry)


@transaction.atomic
def _begin(entry: PruneEntry) -> Removed | None:
    """Mark a capture REMOVING, and delete the snapshots that go with it; or mark it HELD by a guard, and return that."""
    locked = _locked(entry)
    if locked.state not in IN_WINDOW:
        return None
    why = _held_by(locked)
    if why:
        locked.state, locked.reason = EntryState.HELD, why
        locked.save(update_fields=["state", "reason"])
        return Removed(locked.plan_id, locked.capture, EntryState.HELD, why, 0)
    snapshots = plans.snapshots_going([locked.capture_id]).get(locked.capture_id, [])
    locked.files = [*_own_files(locked), *(snapshot.symbols_path for snapshot in snapshots)]
    locked.bytes = sum(map(_size, locked.files))
    AnalyticsSnapshot.objects.filter(pk__in=[snapshot.pk for snapshot in snapshots]).delete()
    FileCheck.objects.filter(sha256__in=[snapshot.symbols_sha256 for snapshot in snapshots]).delete()
    _settle(locked, EntryState.REMOVING)
    return None


@transaction.atomic
def _finish(entry: PruneEntry) -> Removed | None:
    """Remove the files, and mark it REMOVED. The partition's lock keeps captures from being made of its payload."""
    locked = _locked(entry)
    if locked.state != EntryState.REMOVING:
        return None
    capture, payload = locked.capture, plans.payload_path(locked.capture)
    stays = payload in locked.files and _is_payload_of_another(capture)
    gone = [path for path in locked.files if not (stays and path == payload)]
    for path in gone:
        files.remove(path)
    hashes = {capture.vintage_path: capture.vintage_sha256, payload: capture.payload_sha256}
    FileCheck.objects.filter(sha256__in=[hashes[path] for path in gone if path in hashes]).delete()
    _settle(locked, EntryState.REMOVED)
    _count(gone, payload, locked.bytes)
    marking.settle(locked.plan)
    why = f"{len(gone)} files; its payload is that of another capture, and stays" if stays else f"{len(gone)} files"
    logger.info("pruned: %s, %s", capture, why)
    return Removed(locked.plan_id, capture, EntryState.REMOVED, why, locked.bytes)


def _locked(entry: PruneEntry) -> PruneEntry:
    """The entry as it is now, locked with its partition until the transaction ends."""
    marking.lock([entry.capture_id])
    entries = PruneEntry.objects.select_related("plan", "capture__partition")
    return entries.select_for_update(of=("self",)).get(pk=entry.pk)


def _held_by(entry: PruneEntry) -> str:
    """The guard that holds the capture by now; empty without one."""
    policy, partition = Policy.read(entry.plan.policy), entry.capture.partition_id
    again = plans.outline(policy, entry.plan.made_at, [partition], entry.plan_id)
    decision = next(one for one in again.decisions if one.capture == entry.capture_id)
    return "" if decision.is_pruned else decision.reason


def _own_files(entry: PruneEntry) -> list[str]:
    """The vintage file unless another capture shares it, and the payload if the plan prunes it."""
    path = entry.capture.vintage_path
    is_shared = Capture.objects.filter(vintage_path=path, pruned_at__isnull=True).exists()
    return [*([] if is_shared else [path]), *([plans.payload_path(entry.capture)] if entry.with_payload else [])]


def _is_payload_of_another(capture: Capture) -> bool:
    """Whether another capture still needs the same payload: its own is not removed for good."""
    without = PruneEntry.objects.filter(with_payload=True, state__in=GONE).values("capture")
    same = Capture.objects.filter(payload_sha256=capture.payload_sha256).exclude(pk=capture.pk)
    return same.exclude(pk__in=without).exists()


def _size(path: str) -> int:
    """The bytes of a file; 0 where it is gone already."""
    try:
        return default_storage.size(path)
    except OSError:
        return 0


def _count(gone: list[str], payload: str, freed: int) -> None:
    """Count the removals in the tally, which stays when rows of the ledger go."""
    kinds = (
        "payload" if path == payload else "vintage" if path.startswith(store.FOLDER) else "snapshot" for path in gone
    )
    removed = (TallyEntry.of("prune_removed", kind=kind) for kind in kinds)
    Tally.objects.add_each(*removed, TallyEntry.of("prune_freed_bytes", freed))


def _settle(entry: PruneEntry, state: EntryState) -> None:
    entry.state, entry.settled_at = state, timezone.now()
    entry.save(update_fields=["state", "settled_at", "files", "bytes"])
