"""The current capture of a partition and its rows, with which the next payload is compared."""

from __future__ import annotations

import polars as pl
from django.db.models import QuerySet
from django.utils import timezone

from pipeline.finra.calendar import PartitionKey
from pipeline.models import Capture
from pipeline.models.capture import CaptureQuerySet
from pipeline.vintages import payloads, read, store
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.store import VintageDamaged


def newest(key: PartitionKey) -> Capture | None:
    """The newest capture of a partition, whether its rows are stored or not."""
    return _of_partition(key).first()


def newest_payload(key: PartitionKey) -> QuerySet[Capture, str]:
    """The hash of the payload that the newest capture of a partition was made of, for another question to the ledger."""
    return _of_partition(key).values_list("payload_sha256", flat=True)[:1]


def newest_with_rows(key: PartitionKey) -> Capture | None:
    """The newest capture whose rows can be read, from its vintage file or from its payload."""
    return _of_partition(key).filter(pruned_at__isnull=True).first()


def newest_normalized(key: PartitionKey) -> Capture | None:
    """The newest capture whose rows are stored, and have not been given up."""
    return _of_partition(key).normalized().filter(pruned_at__isnull=True).first()


def _of_partition(key: PartitionKey) -> CaptureQuerySet:
    return Capture.objects.of_partition(key).select_related("partition").order_by("-version")


def frame_of(capture: Capture, *columns: str) -> pl.DataFrame:
    """The rows of a capture, or some columns: from its vintage file, or from its payload where it has none (any more).

    ArchiveDamaged where the payload is needed and cannot be read.
    """
    if not _has_file(capture):
        return payloads.read_archived(capture).frame.select(columns or pl.all())
    with read.naming_damage([capture]):
        return read.of_capture(capture).select(columns or pl.all()).collect()


def _has_file(capture: Capture) -> bool:
    """Whether its rows are in a vintage file, which is made again if it is lost. Retention may have removed it."""
    if capture.normalized_at is not None and capture.pruned_at is None:
        try:
            store.verify(capture)
        except VintageDamaged:
            _rebuild(capture)
    return capture.normalized_at is not None and capture.pruned_at is None


def _rebuild(capture: Capture) -> None:
    try:
        store.rebuild(capture)
    except VintageDamaged as error:  # the parser reads other rows now than were captured
        raise ArchiveDamaged(str(error)) from error
    capture.refresh_from_db(fields=["vintage_bytes", "vintage_sha256", "pruned_at"])


def mark_lost(capture: Capture) -> None:
    """Mark the rows of a capture as lost for good: neither its vintage file nor its payload can be read.

    StorageAway when the storage is not mounted: then no loss is certain.
    """
    store.check_mounted()
    Capture.objects.filter(pk=capture.pk).update(pruned_at=timezone.now())
