"""The check: one question to the source about a partition. Without checks an unchanged week would leave no trace."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from pipeline.models.partition import Partition
from pipeline.models.run import Outcome, Run


class Seen(models.TextChoices):
    """The result of a check: the outcomes of a fetch, and UNMOVED of a probe that fetched nothing."""

    UNMOVED = "UNMOVED", "asked, and it has not moved"
    UNCHANGED = Outcome.UNCHANGED.value, Outcome.UNCHANGED.label
    INGESTED = Outcome.INGESTED.value, Outcome.INGESTED.label
    RESTATED = Outcome.RESTATED.value, Outcome.RESTATED.label
    FORCED = Outcome.FORCED.value, Outcome.FORCED.label
    REFUSED = Outcome.REFUSED.value, Outcome.REFUSED.label
    NOT_OFFERED = Outcome.NOT_OFFERED.value, Outcome.NOT_OFFERED.label
    LATE = Outcome.LATE.value, Outcome.LATE.label
    FAILED = Outcome.FAILED.value, Outcome.FAILED.label


class CheckManager(models.Manager["Check"]):
    """The checks of partitions."""

    def note(self, partition: Partition, run: Run | None, outcome: Seen | Outcome) -> None:
        """Note that the source was asked for a partition just now, by a run or by hand, and the outcome.

        ValueError for an outcome that no question to a source has.
        """
        self.create(partition=partition, run=run, outcome=Seen(outcome.value), checked_at=timezone.now())


class Check(models.Model):
    """The source was asked for a partition at `checked_at`, by a run or by hand, with this outcome.

    A replay makes no capture: only checks tell that a week was asked for each day and has not moved since Tuesday.
    """

    partition = models.ForeignKey(Partition, on_delete=models.CASCADE, db_index=False, related_name="checks")
    run = models.ForeignKey(Run, null=True, on_delete=models.SET_NULL, related_name="checks")
    checked_at = models.DateTimeField()
    outcome = models.CharField(max_length=11, choices=Seen.choices)

    objects = CheckManager()

    class Meta:
        ordering = ("-checked_at", "-pk")
        indexes = (models.Index(fields=("partition", "-checked_at"), name="check_newest_of_partition"),)
        constraints = (models.CheckConstraint(condition=Q(outcome__in=Seen.values), name="check_outcome_known"),)

    def __str__(self) -> str:
        return f"{self.partition} at {self.checked_at:%Y-%m-%d %H:%M}: {self.outcome}"
