"""Archived captures whose rows are not stored yet: they are stored later, oldest first."""

from __future__ import annotations

import time

from django.db import transaction

from pipeline.capture import current, endings, entries
from pipeline.capture.terms import Terms
from pipeline.capture.vintage import following, following_by_force
from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.payloads import Payload
from pipeline.models import Capture, FeedCounter, LedgerKind, Partition, Readiness, Stage
from pipeline.models.capture import CaptureQuerySet
from pipeline.vintages import archive, payloads, records, store
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.store import Label


def store_rows(key: PartitionKey, terms: Terms) -> int:
    """Store the rows of the captures that have none yet; how many.

    ArchiveDamaged when a payload cannot be read back, or the parser does not take it any more.
    """
    stored = 0
    while capture := _awaiting(key).first():
        stored += _store(capture, key, terms)
    return stored


def restore_payload(key: PartitionKey, payload: Payload, terms: Terms) -> None:
    """Restore a lost payload of the backlog that the source still has.

    A payload lost everywhere blocks all later captures, until an operator's force gives its rows up.
    """
    for capture in _awaiting(key):
        try:
            archive.get(capture.payload_sha256)
        except ArchiveDamaged:
            if capture.payload_sha256 == payload.sha256:
                archive.put(payload.content, payload.sha256)
            elif terms.force:
                current.mark_lost(capture)


def _awaiting(key: PartitionKey) -> CaptureQuerySet:
    return Capture.objects.of_partition(key).awaiting_normalization().select_related("partition")


def _store(capture: Capture, key: PartitionKey, terms: Terms) -> bool:
    """Store the rows of one archived capture; False when another process did meanwhile, or gave them up."""
    started = time.monotonic()
    content = payloads.read_archived(capture)
    base = current.newest_normalized(key)
    vintage = following_by_force(base, content) if terms.force else following(base, content)
    label = Label(
        capture.capture_id, capture.version, content.content_hash, capture.payload_sha256, reader.PARSER_VERSION
    )
    file = store.write(key, content.keyed, label)
    with transaction.atomic():
        partition = Partition.objects.locked(key)
        capture = Capture.objects.select_for_update(of=("self",)).select_related("partition").get(pk=capture.pk)
        if capture.normalized_at is not None or capture.pruned_at is not None:
            return False
        known = entries.known_since(partition)
        entries.describe(capture, content)
        capture.save()
        Readiness.objects.block(partition.week_ending, f"the rows of {capture} were stored")
        endings.captured(capture, terms.run, fetched=False, stored=True)
        entries.add_manifests(capture, [Stage.NORMALIZED], started, terms.run, content.controls)
        entries.record_rows(partition, capture, vintage, terms.run)
        partition.save(update_fields=["latest"])
        data_kind = LedgerKind.objects.found()
        transaction.on_commit(lambda: records.confirm(capture, data_kind), robust=True)
        entries.publish(capture, vintage, file, known, FeedCounter.objects.take())
    return True
