"""What counts as a restatement: rows that FINRA changed, not what an operator or a newer parser did."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q

from pipeline.models import Capture, Cause
from pipeline.models.capture import CaptureQuerySet

TOUCHED = Q(rows_added__gt=0) | Q(rows_changed__gt=0) | Q(rows_removed__gt=0)


def restatements() -> CaptureQuerySet:
    """Captures in which FINRA's rows differ from those before, and which stand: without forced, parsed, annulled ones."""
    later = Capture.objects.normalized().filter(TOUCHED, cause=Cause.SOURCE, version__gt=1)
    return later.standing()


def restated_partitions(partitions: Collection[int]) -> set[int]:
    """Those of the partitions that FINRA restated."""
    return set(restatements().filter(partition__in=partitions).values_list("partition", flat=True))
