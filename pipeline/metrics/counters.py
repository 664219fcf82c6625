"""The counters, from the tally: every possible combination of labels, also where nothing has been counted.

Prometheus counts from the first value that it sees: a series that begins above 0 would lose its first events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import product

from pipeline.finra.calendar import Tier
from pipeline.metrics.names import METRICS, MetricKind
from pipeline.metrics.samples import Sample
from pipeline.models import Act, ActOutcome, CaptureKind, Category, Outcome, RunStatus, Severity, Tally, Trigger

SUFFIX = "_total"
Sums = Mapping[tuple[tuple[str, str], ...], float]
COMMANDS = ("run_weekly", "backfill", "probe_restatements")
ENDED = [status for status in RunStatus.values if status != RunStatus.RUNNING]
ENDPOINTS = ("data", "metadata", "token")
OUTCOMES_OF_REQUESTS = (
    "ok",
    "no_data",
    "throttled",
    "unauthorized",
    "forbidden",
    "client_error",
    "server_error",
    "timeout",
    "connection",
    "bad_payload",
)
KNOWN: Mapping[str, Mapping[str, Iterable[str]]] = {
    "runs_finished": {"trigger": Trigger.values, "command": COMMANDS, "status": ENDED},
    "work_attempts": {"outcome": ("done", "retried", "worker_lost", "stalled")},
    "partition_outcomes": {"tier": list(Tier), "outcome": Outcome.values},
    "captures": {"tier": list(Tier), "kind": CaptureKind.values},
    "anomalies": {"severity": Severity.values, "category": Category.values},
    "finra_requests": {"endpoint": ENDPOINTS, "outcome": OUTCOMES_OF_REQUESTS},
    "finra_response_bytes": {"endpoint": ENDPOINTS},
    "finra_wait_seconds": {"endpoint": ENDPOINTS},
    "operator_acts": {"act": Act.values, "outcome": ActOutcome.values},
    "prune_removed": {"kind": ("payload", "vintage", "snapshot")},
    "prune_freed_bytes": {},
}


def read(_now: datetime) -> Iterator[Sample]:
    """Each counter of the list of metrics."""
    sums = Tally.objects.sums()
    for metric in METRICS:
        if metric.kind is MetricKind.COUNTER:
            name = metric.name.removesuffix(SUFFIX)
            yield from _of(metric.name, metric.labels, sums.get(name, {}), KNOWN.get(name))


def _of(name: str, labels: tuple[str, ...], sums: Sums, known: Mapping[str, Iterable[str]] | None) -> Iterator[Sample]:
    """A counter for each possible combination of labels and each counted one; only the latter without `known`."""
    values: dict[tuple[str, ...], float] = {}
    if known is not None:
        values = dict.fromkeys(product(*(known[label] for label in labels)), 0.0)
    for given, value in sums.items():
        found = dict(given)
        values[tuple(found[label] for label in labels)] = value
    for of, value in values.items():
        yield Sample(name, value, tuple(zip(labels, of, strict=True)))
