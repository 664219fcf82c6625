"""The readiness change: a verdict that became another, with its place in the feed, for those who follow it."""

from __future__ import annotations

from datetime import date

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from pipeline.models.feed import FeedCounter
from pipeline.models.readiness import ReadinessState, Use


class ReadinessChangeQuerySet(models.QuerySet["ReadinessChange"]):
    """Writing changes, and giving them their places."""

    def newest(self, week_ending: date) -> dict[str, ReadinessChange]:
        """The newest change of a week for each use."""
        return {change.use: change for change in self.filter(week_ending=week_ending).order_by("pk")}

    def placed(self) -> ReadinessChangeQuerySet:
        """Those that have a place in the feed, in its order."""
        return self.filter(position__isnull=False).order_by("position")

    def unplaced(self) -> ReadinessChangeQuerySet:
        """Those that have none yet, in the order in which they were written."""
        return self.filter(position=None).order_by("pk")

    @transaction.atomic
    def place(self) -> None:
        """Give those that lack one their places, in a transaction of their own.

        A verdict is part of longer transactions, some of which lock one week after another: whoever took positions in
        them would hold the feed's lock, for which captures of these weeks wait. What a process that died left
        is placed by the next that judges. Of two processes at once the second waits here, and passes over what has a place.
        """
        changes = list(self.unplaced().select_for_update())
        if changes:
            for position, change in enumerate(changes, FeedCounter.objects.take(len(changes))):
                change.position = position
            self.bulk_update(changes, ["position"])


class ReadinessChange(models.Model):
    """That a week became another for a use: READY, or no longer. It is never changed, once it has its place.

    `state_before` is empty for the first verdict. Verdicts are what a judgement comes to: that a week is BLOCKED for a
    moment, until it is judged again, is none.
    """

    position = models.PositiveBigIntegerField(null=True, unique=True)
    changed_at = models.DateTimeField(default=timezone.now)
    week_ending = models.DateField()
    use = models.CharField(max_length=10, choices=Use.choices)
    state_before = models.CharField(max_length=20, choices=ReadinessState.choices, blank=True)
    state = models.CharField(max_length=20, choices=ReadinessState.choices)
    reasons = models.JSONField(default=list)
    reason_codes = models.JSONField(default=list)

    objects = ReadinessChangeQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = (
            models.Index(fields=("week_ending", "use"), name="readiness_change_week"),
            models.Index(fields=("id",), condition=Q(position=None), name="readiness_change_unplaced"),
        )
        constraints = (
            models.CheckConstraint(condition=Q(use__in=Use.values), name="readiness_change_use_known"),
            models.CheckConstraint(condition=Q(state__in=ReadinessState.values), name="readiness_change_state_known"),
        )

    def __str__(self) -> str:
        return f"{self.week_ending} {self.use}: {self.state_before or 'not judged'} -> {self.state}"
