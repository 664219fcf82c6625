"""The look: when the conditions that no transaction makes true, silence and lateness, were last looked for."""

from __future__ import annotations

from django.db import models


class ConditionLook(models.Model):
    """The last look, by whichever process did it. One row."""

    looked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"looked at {self.looked_at:%Y-%m-%d %H:%M:%S} UTC"
