"""The tally: the counters behind Prometheus's. They only grow; retention lowers none.

A count of rows falls when rows are removed, and Prometheus takes a fall for a restart, and counts events that never
happened. Each event is added as a row of its own, so that transactions do not wait for each other at one sum; the sweeps
add these rows up.
"""

from __future__ import annotations

import json
from collections import defaultdict

from django.db import models, transaction
from django.db.models import F, Q, Sum

MOST_FOLDED = 5_000  # entries in one transaction
Key = tuple[str, str]


class TallyQuerySet(models.QuerySet["Tally"]):
    """Adding to the tally, and reading it."""

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Count something, in the transaction that makes it true."""
        self.add_each(TallyEntry.of(name, amount, **labels))

    def add_each(self, *entries: TallyEntry) -> None:
        """Count several things, in one statement."""
        TallyEntry.objects.bulk_create(entry for entry in entries if entry.amount)

    def sums(self) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        """The counters by name and labels, with the entries that no sweep has added up yet."""
        found: defaultdict[Key, float] = defaultdict(float)
        for name, labels, value in self.values_list("name", "labels", "value"):
            found[name, labels] += value
        entries = TallyEntry.objects.values_list("name", "labels").order_by()
        for name, labels, value in entries.annotate(total=Sum("amount")):
            found[name, labels] += value
        sums: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        for (name, labels), value in found.items():
            sums.setdefault(name, {})[tuple(json.loads(labels).items())] = value
        return sums

    def fold(self) -> int:
        """Add up the entries; how many there were. Safe on every machine at once."""
        if not TallyEntry.objects.exists():  # no lock is taken for nothing
            return 0
        with transaction.atomic():
            entries = list(TallyEntry.objects.select_for_update(skip_locked=True).order_by("pk")[:MOST_FOLDED])
            amounts: defaultdict[Key, float] = defaultdict(float)
            for entry in entries:
                amounts[entry.name, entry.labels] += entry.amount
            for (name, labels), amount in sorted(amounts.items()):  # in one order: no deadlock
                tally, _ = self.get_or_create(name=name, labels=labels)
                self.filter(pk=tally.pk).update(value=F("value") + amount)
            TallyEntry.objects.filter(pk__in=[entry.pk for entry in entries]).delete()
        return len(entries)


class Tally(models.Model):
    """How often something has happened, or how much of it; `labels` is JSON with its keys in order."""

    name = models.CharField(max_length=40)
    labels = models.CharField(max_length=200)
    value = models.FloatField(default=0)

    objects = TallyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "tallies"
        constraints = (
            models.UniqueConstraint("name", "labels", name="tally_once"),
            models.CheckConstraint(condition=Q(value__gte=0), name="tally_never_negative"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.labels}: {self.value:g}"


class TallyEntry(models.Model):
    """One event that no sweep has added up yet."""

    name = models.CharField(max_length=40)
    labels = models.CharField(max_length=200)
    amount = models.FloatField()

    class Meta:
        verbose_name_plural = "tally entries"
        constraints = (models.CheckConstraint(condition=Q(amount__gt=0), name="tally_only_grows"),)

    def __str__(self) -> str:
        return f"{self.name} {self.labels}: {self.amount:g}"

    @classmethod
    def of(cls, name: str, amount: float = 1, **labels: str) -> TallyEntry:
        """An entry that is not saved yet."""
        return cls(name=name, labels=_written(labels), amount=amount)


def _written(labels: dict[str, str]) -> str:
    return json.dumps(dict(sorted(labels.items())))
