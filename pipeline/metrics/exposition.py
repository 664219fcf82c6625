"""The metrics as text, for Prometheus to scrape or for a file. One reading serves a process for 15 seconds.

The registry is our own: the default one would read the ledger during the import of this module, before any migration.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from pipeline.metrics import reading
from pipeline.metrics.names import METRICS, Metric, MetricKind
from pipeline.metrics.reading import Reading
from pipeline.metrics.samples import Sample

CONTENT_TYPE = CONTENT_TYPE_LATEST
KEPT_SECONDS = 15.0


class LedgerCollector(Collector):
    """Collects from the ledger."""

    def __init__(self) -> None:
        self._lock, self._read_at, self._reading = threading.Lock(), 0.0, Reading()

    def collect(self) -> Iterator[Family]:
        """Every metric that has a sample."""
        return families(self._kept().samples)

    def _kept(self) -> Reading:
        """The last reading while it is fresh, else a new one; of several threads that ask at once, one reads."""
        with self._lock:
            if not self._read_at or time.monotonic() - self._read_at > KEPT_SECONDS:
                self._reading, self._read_at = reading.read(self._reading), time.monotonic()
            return self._reading

    def forget(self) -> None:
        """Read again with the next scrape."""
        self._read_at = 0.0


def families(samples: Iterable[Sample]) -> Iterator[Family]:
    """The samples by metric; KeyError for one that METRICS lacks, ValueError for other labels than it names."""
    by_name: dict[str, list[Sample]] = {metric.name: [] for metric in METRICS}
    for one in samples:
        by_name[one.name].append(one)
    return (_family(metric, by_name[metric.name]) for metric in METRICS if by_name[metric.name])


def _family(metric: Metric, samples: Iterable[Sample]) -> Family:
    kind = CounterMetricFamily if metric.kind is MetricKind.COUNTER else GaugeMetricFamily
    family = kind(metric.full_name, metric.meaning, labels=metric.labels)
    for one in samples:
        given = dict(one.labels)
        if given.keys() != set(metric.labels):
            raise ValueError(f"{metric.name} has the labels {metric.labels}, not {tuple(given)}")
        family.add_metric([given[label] for label in metric.labels], one.value)
    return family


collector = LedgerCollector()
registry = CollectorRegistry()
registry.register(collector)


def with_process() -> CollectorRegistry:
    """The registry of a process that does nothing else, with its memory and processor time.

    Web processes do not report theirs: each of several would report other figures under the same names.
    """
    own = CollectorRegistry()
    own.register(collector)
    ProcessCollector(registry=own)
    return own


def text(of: CollectorRegistry = registry) -> bytes:
    """All metrics of a registry, in Prometheus's text format."""
    return generate_latest(of)


def write(path: Path) -> None:
    """Write the text into a file, whole at every moment: node_exporter reads it at any time."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(text())
        unfinished.chmod(0o644)  # node_exporter is another user
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
