"""Restatements by FINRA: changes of rows by an operator or a newer parser do not count."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q

from pipeline.models import Capture, Cause
from pipeline.models.capture import CaptureQuerySet
from pipeline.readers.once import once

TOUCHED = Q(rows_added__gt=0) | Q(rows_changed__gt=0) | Q(rows_removed__gt=0)


def _changed_by_finra() -> CaptureQuerySet:
    return Capture.objects.normalized().filter(TOUCHED, cause=Cause.SOURCE, version__gt=1)


def restatements() -> CaptureQuerySet:
    """Captures in which FINRA's rows differ from those before, and which stand: without forced, parsed, annulled ones."""
    return _changed_by_finra().standing()


def restated_partitions(partitions: Collection[int]) -> set[int]:
    """Those of the partitions that FINRA restated."""
    return set(restatements().filter(partition__in=partitions).order_by().values_list("partition", flat=True))


def restated_by(captures: Collection[Capture]) -> set[int]:
    """The partitions that FINRA had restated when these captures were their newest: the same for ever, whatever follows."""
    newest = {capture.partition_id: capture.version for capture in captures}
    return {
        pk
        for pk, version, annulment in _changes_of(tuple(sorted(newest)))
        if version <= newest[pk] and not (annulment and annulment <= newest[pk])
    }


@once
def _changes_of(partitions: tuple[int, ...]) -> list[tuple[int, int, int | None]]:
    """Each change by FINRA: the partition, the version, and the version that took it back."""
    changes = _changed_by_finra().filter(partition__in=partitions).order_by()
    return list(changes.values_list("partition", "version", "annulled_by__version"))
