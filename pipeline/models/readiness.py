"""Readiness: per week and use, whether the data may be used, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db import models
from django.db.models import Q
from django.utils import timezone

from pipeline.models.analytics import AnalyticsSnapshot
from pipeline.models.event import Event, Occurrence
from pipeline.models.severity import Severity


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


class ReasonCode(models.TextChoices):
    """The kinds of reasons for a verdict. An open anomaly is another: its code is its category."""

    NOT_YET_DUE = "NOT_YET_DUE", "FINRA has not published a tier yet, captured or not"
    NOT_CAPTURED = "NOT_CAPTURED", "a tier is due and not captured"
    NOT_NORMALIZED = "NOT_NORMALIZED", "a tier's newest version is archived, its rows are not stored"
    NO_ROWS = "NO_ROWS", "a tier's newest version has no rows"
    NOT_CALCULATED = "NOT_CALCULATED", "the analytics are not computed from the newest captures"
    NOT_JUDGED = "NOT_JUDGED", "the ledger has changed, and the week is not judged again yet"


@dataclass(frozen=True, slots=True)
class Reason:
    """What blocks or qualifies a week: a ReasonCode or an anomaly's category for programs, and a sentence for people."""

    code: str
    sentence: str


USABLE = (ReadinessState.READY, ReadinessState.PROVISIONAL)


class ReadinessQuerySet(models.QuerySet["Readiness"]):
    """Verdicts of a week."""

    def block(self, week_ending: date, why: str, code: str = ReasonCode.NOT_JUDGED.value) -> None:
        """Block a week whose inputs change, in the transaction that changes them, until it is judged again.

        Normally that takes seconds. People are told of weeks that stay so, by the next look (`pipeline.conditions`).
        """
        self.filter(week_ending=week_ending).exclude(state=ReadinessState.BLOCKED).update(
            state=ReadinessState.BLOCKED,
            reasons=[f"{why}; the week is not judged again yet"],
            reason_codes=[code],
            since=timezone.now(),
        )

    def judged_weeks(self) -> list[date]:
        """The weeks that have been judged, oldest first."""
        return list(self.order_by("week_ending").values_list("week_ending", flat=True).distinct())


def blocked(week_ending: date, use: str, reasons: Iterable[str], *, was_usable: bool) -> Occurrence:
    """The occurrence of a week that may not be used; graver where it was usable, since somebody may have used it."""
    return Occurrence(
        event=Event.BLOCKED,
        place=f"{week_ending} {use}",
        severity=Severity.ERROR if was_usable else Severity.WARN,
        what="; ".join(reasons),
        week_ending=week_ending,
        use=use,
    )


def usable(week_ending: date, use: str, state: str, reasons: Iterable[str]) -> Occurrence:
    """The occurrence of a week that may be used, with its reservations. People are told once for each of the two states."""
    reservations = "; ".join(reasons)
    return Occurrence(
        event=Event.READY,
        place=f"{week_ending} {use}",
        severity=Severity.INFO,
        what=f"{ReadinessState(state).label}{f': {reservations}' if reservations else ''}",
        week_ending=week_ending,
        use=use,
        mark=state,
    )


class Readiness(models.Model):
    """The verdict on one week for one use, decided from the ledger.

    `reasons` lists what blocks or qualifies it, a sentence each, and `reason_codes` the code of each, in the same order.
    `since` is when the verdict last changed.
    """

    week_ending = models.DateField()
    use = models.CharField(max_length=10, choices=Use.choices)
    state = models.CharField(max_length=20, choices=ReadinessState.choices)
    reasons = models.JSONField(default=list)
    reason_codes = models.JSONField(default=list)
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
        return f"{self.place}: {self.state}"

    @property
    def place(self) -> str:
        """The week and the use, as notices name them."""
        return f"{self.week_ending} {self.use}"
