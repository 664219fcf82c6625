"""The admin, one module per thing reviewed. Pages are read by everybody who may view them; acts are guarded one by one."""

from __future__ import annotations

from pipeline.admin import (
    anomalies,
    captures,
    manifests,
    operator_log,
    partitions,
    people,
    readiness,
    rows,
    runs,
    schedules,
    snapshots,
)

__all__ = [
    "anomalies",
    "captures",
    "manifests",
    "operator_log",
    "partitions",
    "people",
    "readiness",
    "rows",
    "runs",
    "schedules",
    "snapshots",
]
