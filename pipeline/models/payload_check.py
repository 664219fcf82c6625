"""The payload check: what was last found of an archived payload, so that all get their turn to be read whole."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class PayloadState(models.TextChoices):
    """What the archive has of a payload."""

    WHOLE = "WHOLE", "there, and what was archived when it was last read"
    MISSING = "MISSING", "not there"
    DAMAGED = "DAMAGED", "there, and not what was archived"


class PayloadCheck(models.Model):
    """One payload of the archive, by its SHA-256.

    `since` is when `state` was first found, `read_at` when it was last read whole. A payload without
    a row has not been looked at yet: it is the first whose turn it is.
    """

    sha256 = models.CharField(max_length=64, primary_key=True)
    state = models.CharField(max_length=7, choices=PayloadState.choices)
    since = models.DateTimeField()
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(state__in=PayloadState.values), name="payload_check_state_known"),
        )

    def __str__(self) -> str:
        return f"{self.sha256[:16]} {self.state}"
