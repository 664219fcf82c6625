"""The file check: when a file of the archive was last read, and in which state it was. So each gets its turn."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class FileState(models.TextChoices):
    """The state of a file in the archive."""

    WHOLE = "WHOLE", "there, and what was written when it was last read"
    MISSING = "MISSING", "not there"
    DAMAGED = "DAMAGED", "there, and not what was written"


class FileCheck(models.Model):
    """One payload or vintage file of the archive, by the SHA-256 that its capture has of it.

    `since` is when `state` was first found, `read_at` when the file was last read whole. A file without a row was never
    checked, and comes first.
    """

    sha256 = models.CharField(max_length=64, primary_key=True)
    state = models.CharField(max_length=7, choices=FileState.choices)
    since = models.DateTimeField()
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(state__in=FileState.values), name="file_check_state_known"),)

    def __str__(self) -> str:
        return f"{self.sha256[:16]} {self.state}"
