"""Open anomalies, for each pair of severity and category, also where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Min

from pipeline.metrics.samples import Sample, instant, sample
from pipeline.models import Anomaly, Category, Severity


def read(_now: datetime) -> Iterator[Sample]:
    """How many are open, and when the oldest of each severity was first seen."""
    found = Anomaly.objects.open().values_list("severity", "category").order_by()
    counts = {(severity, category): n for severity, category, n in found.annotate(Count("pk"))}
    for severity in Severity.values:
        for category in Category.values:
            yield sample("anomalies_open", counts.get((severity, category), 0), severity=severity, category=category)
    for severity, oldest in Anomaly.objects.open().order_by().values_list("severity").annotate(Min("first_seen_at")):
        yield from instant("anomaly_oldest_open_timestamp_seconds", oldest, severity=severity)
