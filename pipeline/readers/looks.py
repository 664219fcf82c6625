"""Looks: when the source was last asked for a partition, with which result, and through which age that verifies it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Max

from pipeline.finra.calendar import PartitionKey, due_date, market_today
from pipeline.models import Check, Seen

# Looks that found the held content, or captured new content: the partition then was as the ledger has it.
VERIFYING = (Seen.UNMOVED, Seen.UNCHANGED, Seen.INGESTED, Seen.RESTATED, Seen.FORCED)


@dataclass(frozen=True, slots=True)
class Look:
    """The newest look at a partition, and the newest that verified it; None where there was none."""

    checked_at: datetime | None = None
    outcome: str | None = None
    verified_at: datetime | None = None


NEVER = Look()


def newest_looks(partitions: Collection[int]) -> Mapping[int, Look]:
    """The newest looks at partitions, by the partitions' primary keys. Two queries."""
    of_them = Check.objects.filter(partition__in=partitions)
    verified = dict(
        of_them.filter(outcome__in=VERIFYING).order_by().values_list("partition").annotate(Max("checked_at"))
    )
    newest = of_them.order_by().values("partition").annotate(newest=Max("pk")).values("newest")
    found = Check.objects.filter(pk__in=newest).values_list("partition", "checked_at", "outcome")
    return {partition: Look(checked_at, seen, verified.get(partition)) for partition, checked_at, seen in found}


def age_of(key: PartitionKey, instant: datetime | date) -> int:
    """How many days old a partition was, counted from its due date; negative before it."""
    day = market_today(instant) if isinstance(instant, datetime) else instant
    return (day - due_date(key.tier, key.week_ending)).days


def verified_through(key: PartitionKey, look: Look) -> int | None:
    """The age in days through which a partition is verified; None where it never was."""
    return age_of(key, look.verified_at) if look.verified_at else None
