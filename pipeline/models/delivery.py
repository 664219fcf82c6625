"""The delivery: one piece of news about a notice for a channel, and its way to the channel."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q

from pipeline.models.channel import Channel
from pipeline.models.notice import Notice
from pipeline.models.severity import Severity
from pipeline.models.silence import Silence


class DeliveryAction(models.TextChoices):
    """The news about a notice."""

    TRIGGER = "TRIGGER", "it has happened"
    UPDATE = "UPDATE", "it is graver, or goes on"
    RESOLVE = "RESOLVE", "it is over"
    TEST = "TEST", "a person tries the channel"


class DeliveryState(models.TextChoices):
    """Where a delivery stands."""

    PENDING = "PENDING", "to be sent"
    MUTED = "MUTED", "held by a silence or by quiet hours"
    SENT = "SENT", "accepted by the service"
    FAILED = "FAILED", "given up"
    CANCELLED = "CANCELLED", "not to be sent any more"


UNSENT = (DeliveryState.PENDING, DeliveryState.MUTED)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Deliveries by the work that is left on them."""

    def due(self, now: datetime) -> DeliveryQuerySet:
        """Those whose time has come, in the order in which they are sent."""
        return self.filter(state=DeliveryState.PENDING, next_at__lte=now).order_by("pk")

    def cancel(self, why: str) -> int:
        """Cancel those that were never tried; how many. One that was tried may have arrived."""
        untried = self.filter(state__in=UNSENT, attempts=0)
        return untried.update(state=DeliveryState.CANCELLED, last_error=why, muted_by=None)

    def drop_pending(self, why: str) -> int:
        """Cancel all that wait, tried or not; how many."""
        return self.filter(state__in=UNSENT).update(state=DeliveryState.CANCELLED, last_error=why, muted_by=None)


class Delivery(models.Model):
    """One piece of news about a notice for a channel. `uid` goes with it: a receiver knows a second copy by it.

    `due_at` is when it was first to be sent, `next_at` when it is tried next, `severity` the notice's when it was written.
    `muted_by` is the silence that holds a MUTED one; without it the channel's quiet hours do.
    """

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, db_index=False, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="deliveries")
    action = models.CharField(max_length=7, choices=DeliveryAction.choices)
    sequence = models.PositiveIntegerField()
    severity = models.CharField(max_length=8, choices=Severity.choices)
    state = models.CharField(max_length=9, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    next_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    remote_id = models.CharField(max_length=200, blank=True)
    muted_by = models.ForeignKey(Silence, null=True, on_delete=models.PROTECT, related_name="held")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        verbose_name_plural = "deliveries"
        constraints = (
            models.UniqueConstraint("notice", "channel", "action", "sequence", name="delivery_once"),
            models.CheckConstraint(condition=Q(action__in=DeliveryAction.values), name="delivery_action_known"),
            models.CheckConstraint(condition=Q(state__in=DeliveryState.values), name="delivery_state_known"),
            models.CheckConstraint(
                condition=Q(state=DeliveryState.SENT, sent_at__isnull=False)
                | ~Q(state=DeliveryState.SENT) & Q(sent_at__isnull=True),
                name="delivery_sent_at_when_sent",
            ),
        )
        indexes = (models.Index(fields=("channel", "next_at"), condition=Q(state="PENDING"), name="delivery_pending"),)

    def __str__(self) -> str:
        return f"{self.action} to {self.channel}: {self.notice}"
