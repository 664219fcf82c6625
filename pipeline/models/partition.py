"""The partition: one (week_ending, tier), the unit of capture, of failure and of locking."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

from pipeline.checkpoints import checkpoints
from pipeline.finra.calendar import FRIDAY, WEEK, PartitionKey, Tier

if TYPE_CHECKING:
    from pipeline.models.capture import Capture

TIER_CHOICES = [(tier.value, tier.value) for tier in Tier]
ISO_FRIDAY = FRIDAY + 1  # ISO 8601 counts the days of a week from 1


class PartitionQuerySet(models.QuerySet["Partition"]):
    """Partitions by key."""

    def for_keys(self, keys: Iterable[PartitionKey]) -> PartitionQuerySet:
        """The partitions of `keys` that exist."""
        weeks: dict[str, set[date]] = {}
        for key in keys:
            weeks.setdefault(key.tier, set()).add(key.week_ending)
        wanted = Q(pk__in=[])
        for tier, of_tier in weeks.items():
            wanted |= Q(tier=tier) & _of_weeks(of_tier)
        return self.filter(wanted)

    @checkpoints("partitions.create")
    def ensure(self, keys: Collection[PartitionKey]) -> dict[PartitionKey, Partition]:
        """The partitions of `keys`, made where they are new."""
        new = [Partition(week_ending=key.week_ending, tier=key.tier) for key in keys]
        self.bulk_create(new, ignore_conflicts=True)
        return {partition.key: partition for partition in self.for_keys(keys)}

    def locked(self, key: PartitionKey) -> Partition:
        """The partition, its row locked until the transaction ends; created when it is new."""
        of_key = self.select_for_update(of=("self",)).filter(week_ending=key.week_ending, tier=key.tier)
        found = of_key.first()
        if found is None:
            self.get_or_create(week_ending=key.week_ending, tier=key.tier)
            found = of_key.get()
        return found

    def lock_week(self, week_ending: date) -> None:
        """Lock the week's partitions until the transaction ends: none gets a capture, and one process has the week.

        They are locked in one order, against deadlocks; with `no_key`, so that rows that refer to them can be written.
        """
        list(self.filter(week_ending=week_ending).order_by("pk").select_for_update(of=("self",), no_key=True))


def _of_weeks(weeks: Collection[date]) -> Q:
    """Weeks that follow each other as a range: a database parses that faster than a list of 260 Fridays."""
    first, last = min(weeks), max(weeks)
    if (last - first) // WEEK == len(weeks) - 1:
        return Q(week_ending__range=(first, last))
    return Q(week_ending__in=weeks)


class Partition(models.Model):
    """One (week_ending, tier). Its row is the lock under which captures of it are stored.

    `newest_version` counts the captures made; `latest` points at the newest *normalized* one.
    """

    id = models.AutoField(primary_key=True)
    week_ending = models.DateField()
    tier = models.CharField(max_length=10, choices=TIER_CHOICES)
    newest_version = models.PositiveIntegerField(default=0)
    latest: models.OneToOneField[Capture | None, Capture | None] = models.OneToOneField(
        "pipeline.Capture", null=True, on_delete=models.PROTECT, related_name="+"
    )

    objects = PartitionQuerySet.as_manager()

    class Meta:
        ordering = ("-week_ending", "tier")
        constraints = (
            models.UniqueConstraint("week_ending", "tier", name="partition_key_unique"),
            models.CheckConstraint(
                condition=Q(week_ending__iso_week_day=ISO_FRIDAY), name="partition_week_ends_on_friday"
            ),
            models.CheckConstraint(condition=Q(tier__in=list(Tier)), name="partition_tier_known"),
        )

    def __str__(self) -> str:
        return str(self.key)

    @property
    def key(self) -> PartitionKey:
        """The partition's natural key."""
        return PartitionKey(self.week_ending, Tier(self.tier))
