"""The archive as it was last found to be, file by file: whole, damaged or missing, since when, and when it was last read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from django.utils import timezone

from pipeline.models import FileCheck, FileState


def record_read(found: Mapping[str, bool]) -> None:
    """Keep which files were whole when they were read just now."""
    _record({s: FileState.WHOLE if whole else FileState.DAMAGED for s, whole in found.items()}, read_at=timezone.now())


def record_missing(missing: set[str], of: Collection[str]) -> None:
    """Keep which of some files are not there, and which are there again."""
    missed = set(FileCheck.objects.filter(state=FileState.MISSING).values_list("sha256", flat=True))
    _record(dict.fromkeys(missing - missed, FileState.MISSING), read_at=None)
    _record(dict.fromkeys(missed.intersection(of) - missing, FileState.WHOLE), read_at=None)


def _record(states: Mapping[str, FileState], read_at: datetime | None) -> None:
    now = timezone.now()
    same = {
        check.sha256: check.since
        for check in FileCheck.objects.filter(pk__in=states)
        if check.state == states[check.sha256]
    }
    FileCheck.objects.bulk_create(
        [FileCheck(sha256=s, state=state, since=same.get(s, now), read_at=read_at) for s, state in states.items()],
        500,
        update_conflicts=True,
        unique_fields=["sha256"],
        update_fields=["state", "since", "read_at"],
    )
