"""The admin, a folder per thing reviewed. A permission to view opens all pages; each act has a guard of its own."""

from __future__ import annotations

from pipeline.admin.anomalies import admin as anomalies
from pipeline.admin.captures import admin as captures
from pipeline.admin.captures import manifests, rows
from pipeline.admin.keeping import backups
from pipeline.admin.keeping import plans as prune_plans
from pipeline.admin.notices import channels, notices, silences
from pipeline.admin.partitions import admin as partitions
from pipeline.admin.people import operator_log, people
from pipeline.admin.runs import admin as runs
from pipeline.admin.schedules import admin as schedules
from pipeline.admin.tokens import admin as tokens
from pipeline.admin.weeks import readiness, snapshots

__all__ = [
    "anomalies",
    "backups",
    "captures",
    "channels",
    "manifests",
    "notices",
    "operator_log",
    "partitions",
    "people",
    "prune_plans",
    "readiness",
    "rows",
    "runs",
    "schedules",
    "silences",
    "snapshots",
    "tokens",
]
