"""Readiness: per week and use, whether the data may be used, and what stands in the way."""

from __future__ import annotations

from datetime import date

from django.db import models
from django.db.models import Q
from django.utils import timezone

from pipeline.models.analytics import AnalyticsSnapshot


class Use(models.TextChoices):
    """The uses of a week's data."""

    TRADING = "trading", "trading"
    COMPLIANCE = "compliance", "compliance"
    RESEARCH = "research", "research"


class ReadinessState(models.TextChoices):
    """The verdict on a week for a use."""

    READY = "READY", "may be used"
    PROVISIONAL = "PROVISIONAL", "may be used, and may still change"
    AWAITING_PUBLICATION = "AWAITING_PUBLICATION", "FINRA has not published all of it yet"
    BLOCKED = "BLOCKED", "something stands in the way"


class ReadinessQuerySet(models.QuerySet["Readiness"]):
    """Verdicts of a week."""

    def block(self, week_ending: date, why: str) -> None:
        """Block a week whose inputs change, in the transaction that changes them, until it is judged again."""
        self.filter(week_ending=week_ending).exclude(state=ReadinessState.BLOCKED).update(
            state=ReadinessState.BLOCKED, reasons=[f"{why}; the week is not judged again yet"], since=timezone.now()
        )

    def judged_weeks(self) -> list[date]:
        """The weeks that have been judged, oldest first."""
        return list(self.order_by("week_ending").values_list("week_ending", flat=True).distinct())


class Readiness(models.Model):
    """The verdict on one week for one use, decided from the ledger.

    `reasons` lists what blocks or qualifies it, a sentence each. `since` is when the state last changed.
    """

    week_ending = models.DateField()
    use = models.CharField(max_length=10, choices=Use.choices)
    state = models.CharField(max_length=20, choices=ReadinessState.choices)
    reasons = models.JSONField(default=list)
    snapshot = models.ForeignKey(AnalyticsSnapshot, null=True, on_delete=models.SET_NULL, related_name="+")
    since = models.DateTimeField()
    decided_at = models.DateTimeField()

    objects = ReadinessQuerySet.as_manager()

    class Meta:
        ordering = ("-week_ending", "use")
        verbose_name_plural = "readiness"
        constraints = (
            models.UniqueConstraint("week_ending", "use", name="readiness_once"),
            models.CheckConstraint(condition=Q(use__in=Use.values), name="readiness_use_known"),
            models.CheckConstraint(condition=Q(state__in=ReadinessState.values), name="readiness_state_known"),
        )

    def __str__(self) -> str:
        return f"{self.week_ending} {self.use}: {self.state}"
