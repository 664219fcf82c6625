"""The silence: notices that are not sent for a while, because a person said so, with a reason."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q

from pipeline.models.event import Event
from pipeline.models.notice import Notice
from pipeline.models.partition import TIER_CHOICES

LONGEST = timedelta(days=14)


class SilenceQuerySet(models.QuerySet["Silence"]):
    """Silences by when they hold."""

    def in_force(self, now: datetime) -> SilenceQuerySet:
        """Those that hold at an instant."""
        return self.filter(starts_at__lte=now, until__gt=now, ended_at__isnull=True)


class Silence(models.Model):
    """Matching notices are written and not sent until the silence ends; those still open are sent then.

    An empty field matches everything.
    """

    event = models.CharField(max_length=20, choices=Event.choices, blank=True)
    tier = models.CharField(max_length=10, choices=TIER_CHOICES, blank=True)
    week_ending = models.DateField(null=True, blank=True)
    category = models.CharField(max_length=20, blank=True)
    starts_at = models.DateTimeField()
    until = models.DateTimeField()
    by = models.CharField(max_length=150)
    why = models.TextField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=150, blank=True)

    objects = SilenceQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.CheckConstraint(condition=~Q(why="") & ~Q(by=""), name="silence_by_someone_with_a_reason"),
            models.CheckConstraint(condition=Q(until__gt=F("starts_at")), name="silence_ends_after_it_starts"),
        )

    def __str__(self) -> str:
        return f"{self.matches_what} until {self.until:%Y-%m-%d %H:%M} UTC"

    @property
    def matches_what(self) -> str:
        """Its matcher for a person: "LATE, OTC", or "everything"."""
        named = (self.event, self.tier, self.week_ending and self.week_ending.isoformat(), self.category)
        return ", ".join(str(one) for one in named if one) or "everything"

    def matches(self, notice: Notice) -> bool:
        """Whether it silences a notice."""
        return (
            self.event in ("", notice.event)
            and self.tier in ("", notice.tier)
            and self.week_ending in (None, notice.week_ending)
            and self.category in ("", notice.category)
        )
