"""People who have to wait after wrong passwords."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from axes.models import AccessAttempt
from django.conf import settings

from pipeline.metrics.samples import Sample, sample


def read(now: datetime) -> Iterator[Sample]:
    """How many pairs of a name and an address wait."""
    recent = AccessAttempt.objects.filter(attempt_time__gte=now - settings.AXES_COOLOFF_TIME)
    locked = recent.filter(failures_since_start__gte=settings.AXES_FAILURE_LIMIT)
    yield sample("logins_locked", locked.count())
