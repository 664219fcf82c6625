"""The channel: a place where people are told of notices, with its filters, digests and quiet hours."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import Q

from pipeline.models.event import Event
from pipeline.models.notice import Notice
from pipeline.models.severity import Severity

NEW_YORK = "America/New_York"
DIGEST_HOUR = 8
SECRET_NAME = re.compile(r"(SLACK|PAGERDUTY|WEBHOOK|APPRISE|NOTIFY)(_[A-Z0-9]+)+", re.ASCII)
RESTATED_ROWS = 100  # FINRA restates a handful of rows of a week as a matter of course


class ChannelKind(models.TextChoices):
    """How a channel is reached."""

    EMAIL = "email", "e-mail"
    SLACK = "slack", "Slack, by an incoming webhook"
    PAGERDUTY = "pagerduty", "PagerDuty, by its Events API"
    WEBHOOK = "webhook", "a web address of your own, as JSON"
    APPRISE = "apprise", "any other service, by apprise"


class Digest(models.TextChoices):
    """How notices are gathered into messages."""

    EACH = "each", "each at once"
    HOURLY = "hourly", "all of an hour"
    DAILY = "daily", "all of a day, at 08:00"
    WEEKLY = "weekly", "all of a week, on Monday at 08:00"


def everything() -> list[str]:
    """An empty filter, which lets everything pass."""
    return []


def trading() -> list[str]:
    """The filter of a new channel's uses: one message for each week instead of three."""
    return ["trading"]


class Channel(models.Model):
    """A place where people are told, and its filters. Empty `events`, `tiers` and `uses` mean all.

    Secrets are named, and never stored: `secret` names the environment variable that holds the address or the key
    (SLACK_URL, or the file that SLACK_URL_FILE names), `signing_secret` the one that a webhook's messages are signed with.
    `sent`, `retried` and `failed` count messages, and only grow. One sender at a time has the channel: `claimed_by`, until
    `claimed_until`. `held_until` is how long the service asked to wait. The newest summary was sent at `summary_at`.
    """

    name = models.CharField(max_length=60, unique=True)
    kind = models.CharField(max_length=9, choices=ChannelKind.choices)
    address = models.EmailField(blank=True)
    secret = models.CharField(max_length=60, blank=True)
    signing_secret = models.CharField(max_length=60, blank=True)
    least_severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.INFO)
    events = models.JSONField(default=everything, blank=True)
    tiers = models.JSONField(default=everything, blank=True)
    uses = models.JSONField(default=trading, blank=True)
    least_restated_rows = models.PositiveIntegerField(default=RESTATED_ROWS)
    digest = models.CharField(max_length=6, choices=Digest.choices, default=Digest.EACH)
    repeat_hours = models.PositiveSmallIntegerField(default=24)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    zone = models.CharField(max_length=40, default=NEW_YORK)
    enabled = models.BooleanField(default=True)
    sent = models.PositiveBigIntegerField(default=0)
    retried = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    last_sent_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True)
    summary_at = models.DateTimeField(null=True)
    held_until = models.DateTimeField(null=True)
    claimed_by = models.CharField(max_length=120, blank=True)
    claimed_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("name",)
        permissions = (("can_notify", "Can silence notices, test channels and send again what failed"),)
        constraints = (
            models.CheckConstraint(condition=Q(kind__in=ChannelKind.values), name="channel_kind_known"),
            models.CheckConstraint(condition=Q(digest__in=Digest.values), name="channel_digest_known"),
            models.CheckConstraint(
                condition=Q(kind=ChannelKind.EMAIL, secret="") & ~Q(address="")
                | ~Q(kind=ChannelKind.EMAIL) & ~Q(secret="") & Q(address=""),
                name="channel_has_an_address_or_names_a_secret",
            ),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="channel_quiet_from_and_until",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def wants(self, notice: Notice) -> bool:
        """Whether a notice passes the channel's filters."""
        if notice.event == Event.CHANNEL_FAILED and notice.place == self.name:
            return False
        if self.kind == ChannelKind.PAGERDUTY and notice.is_momentary:  # an incident that nothing would resolve
            return False
        if notice.event == Event.RESTATED and (notice.rows or 0) < self.least_restated_rows:
            return False
        return notice.severity in Severity.at_least(self.least_severity) and all(
            not wanted or not said or said in wanted
            for wanted, said in ((self.events, notice.event), (self.tiers, notice.tier), (self.uses, notice.use))
        )

    def due_at(self, now: datetime) -> datetime:
        """When a notice of now is sent: at once, or with the next digest."""
        local = now.astimezone(ZoneInfo(self.zone))
        if self.digest == Digest.EACH:
            return now
        if self.digest == Digest.HOURLY:
            return (now + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
        days = -local.weekday() % 7 if self.digest == Digest.WEEKLY else 0
        period = 7 if self.digest == Digest.WEEKLY else 1
        coming = _at_hour(local, days)
        return (coming if coming > now else _at_hour(local, days + period)).astimezone(now.tzinfo)

    def is_quiet(self, now: datetime) -> bool:
        """Whether its quiet hours are on; `quiet_until` itself is no longer quiet."""
        if self.quiet_from is None or self.quiet_until is None:
            return False
        clock = now.astimezone(ZoneInfo(self.zone)).time()
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= clock < self.quiet_until
        return clock >= self.quiet_from or clock < self.quiet_until


def _at_hour(local: datetime, days: int) -> datetime:
    return datetime.combine(local.date() + timedelta(days=days), time(DIGEST_HOUR), local.tzinfo)
