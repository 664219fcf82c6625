"""The delivery: what a channel is told of a notice, and what became of it."""

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
    """What a channel is told of a notice."""

    TRIGGER = "TRIGGER", "it has happened"
    UPDATE = "UPDATE", "it is graver, or goes on"
    RESOLVE = "RESOLVE", "it is over"
    TEST = "TEST", "a person tries the channel"


class DeliveryState(models.TextChoices):
    """What became of it."""

    PENDING = "PENDING", "to be sent"
    MUTED = "MUTED", "held by a silence or by quiet hours"
    SENT = "SENT", "accepted by the service"
    FAILED = "FAILED", "given up"
    CANCELLED = "CANCELLED", "not to be sent any more"


UNSENT = (DeliveryState.PENDING, DeliveryState.MUTED)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Deliveries by what is to be done with them."""

    def due(self, now: datetime) -> DeliveryQuerySet:
        """Those whose time has come, in the order in which a channel is told."""
        return self.filter(state=DeliveryState.PENDING, next_at__lte=now).order_by("pk")

    def cancel(self, why: str) -> int:
        """Send none of these that nobody has tried to send; how many that were. One that was tried may have arrived."""
        untried = self.filter(state__in=UNSENT, attempts=0)
        return untried.update(state=DeliveryState.CANCELLED, last_error=why, muted_by=None)

    def drop_pending(self, why: str) -> int:
        """Send nothing of what waits, tried or not: what a restored database has waiting is old; how many that were."""
        return self.filter(state__in=UNSENT).update(state=DeliveryState.CANCELLED, last_error=why, muted_by=None)


class Delivery(models.Model):
    """One thing that a channel is told of a notice. `uid` goes with it, so that who gets it twice can tell.

    `due_at` is when it was first to be sent, `next_at` when it is tried next, `severity` that of the notice then.
    `muted_by` is the silence that holds it; one that is MUTED without is held by the channel's quiet hours.
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


class ConditionLook(models.Model):
    """When somebody last looked for what no transaction makes true: silence, lateness. One row."""

    looked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"looked at {self.looked_at:%Y-%m-%d %H:%M:%S} UTC"
