"""Backups, the drills that prove them, and the captures that retention has marked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db.models import Max

from pipeline.metrics.samples import Sample, instant, sample
from pipeline.models import Backup, Drill, EntryState, PruneEntry


def read(_now: datetime) -> Iterator[Sample]:
    """The newest good backup and drill; captures that retention has marked, or holds."""
    yield sample("backup_expected", settings.MARKETSPINE_BACKUP == "expected")
    if backup := Backup.objects.newest():
        yield from instant("backup_last_success_timestamp_seconds", backup.finished_at)
        yield sample("backup_last_duration_seconds", backup.seconds)
        yield sample("backup_last_bytes", backup.database_bytes + backup.files_bytes)
    if drill := Drill.objects.newest_passed():
        yield from instant("restore_drill_last_success_timestamp_seconds", drill.begun_at)
    ahead = PruneEntry.objects.removals()
    yield sample("prune_items", ahead.captures - ahead.held, state="marked")
    yield sample("prune_items", ahead.held, state="held")
    removed = PruneEntry.objects.filter(state=EntryState.REMOVED).aggregate(newest=Max("settled_at"))
    yield from instant("prune_last_success_timestamp_seconds", removed["newest"])
