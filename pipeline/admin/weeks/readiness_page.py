"""The page of a verdict: its reasons, each with links to the partitions and anomalies that it names, and the week.

A reason is a sentence that names what it speaks of: a partition by its key, an anomaly by its number or its message. The
week's own partitions and anomalies are looked for in it; nothing is read out of the sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from pipeline.admin.shared import figures
from pipeline.admin.shared.base import badge, link
from pipeline.admin.shared.lines import AnomalyLine, acts_on
from pipeline.finra.calendar import PartitionKey, Tier, due_date, is_due, market_today
from pipeline.models import AnalyticsSnapshot, Anomaly, Partition, Readiness, ReadinessState, ReasonCode

SHOWN = 100


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """A reason, and links to what it speaks of."""

    sentence: str
    links: list[str]


@dataclass(frozen=True, slots=True)
class TierLine:
    """The week's capture of one tier."""

    key: PartitionKey
    partition: Partition | None

    @property
    def name(self) -> str:
        """The tier, leading to the partition where there is one."""
        return link(self.partition, str(self.key.tier)) if self.partition else str(self.key.tier)

    @property
    def due(self) -> str:
        return due_date(self.key.tier, self.key.week_ending).isoformat()

    @property
    def state(self) -> str:
        """Whether it is captured and its rows are stored, missing, or not due yet."""
        if self.partition is None or not self.partition.newest_version:
            return badge("MISSING" if is_due(self.key, market_today()) else "NOT_YET_DUE")
        latest = self.partition.latest
        stored = latest is not None and latest.version == self.partition.newest_version
        return badge("GOOD", "captured") if stored else badge("ARCHIVED", "rows not stored")

    @property
    def capture(self) -> str:
        latest = self.partition.latest if self.partition else None
        return link(latest, f"version {latest.version}") if latest else figures.NONE

    @property
    def rows(self) -> str:
        latest = self.partition.latest if self.partition else None
        return figures.number(latest.rows_kept) if latest else figures.NONE


def contents(verdict: Readiness) -> dict[str, Any]:
    """The context of a verdict's page. Six queries."""
    week = verdict.week_ending
    found = Partition.objects.filter(week_ending=week).select_related("latest")
    partitions = {partition.key: partition for partition in found}
    anomalies = list(Anomaly.objects.open().of_week(week).select_related("partition").order_by("-pk")[:SHOWN])
    others = list(Readiness.objects.filter(week_ending=week))
    return {
        "title": f"{week} for {verdict.use}",
        "label": ReadinessState(verdict.state).label,
        "reasons": list(_reasons(verdict, partitions, anomalies)),
        "tiers": [TierLine(key, partitions.get(key)) for key in (PartitionKey(week, tier) for tier in Tier)],
        "anomalies": [AnomalyLine(one) for one in anomalies],
        "snapshot": link(verdict.snapshot),
        "others": [(link(other, other.use), badge(other.state)) for other in others if other.pk != verdict.pk],
        "acts": acts_on([("readiness", [other.pk for other in others])]),
    }


def _reasons(
    verdict: Readiness, partitions: dict[PartitionKey, Partition], anomalies: list[Anomaly]
) -> Iterator[ReasonLine]:
    newest = verdict.snapshot or _newest(verdict)
    for code, sentence in zip(verdict.reason_codes, verdict.reasons, strict=True):
        links = [link(one, f"anomaly {one.pk}") for one in anomalies if _names(sentence, one)]
        links += [link(one) for key, one in partitions.items() if sentence.startswith(f"{key}:")]
        if code == ReasonCode.NOT_CALCULATED and newest:
            links.append(link(newest))
        yield ReasonLine(sentence, links)


def _names(sentence: str, anomaly: Anomaly) -> bool:
    """Whether a reason speaks of the anomaly: by its number, or, while the week is blocked, by its message."""
    return f" anomaly {anomaly.pk}, " in sentence or f"{anomaly.category}: {anomaly.message};" in sentence


def _newest(verdict: Readiness) -> AnalyticsSnapshot | None:
    of_week = Q(week_ending=verdict.week_ending)
    return AnalyticsSnapshot.objects.filter(of_week).order_by("-sequence").first()
