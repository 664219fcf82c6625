"""The severity of anomalies and of notices."""

from __future__ import annotations

from django.db import models


class Severity(models.TextChoices):
    """How much something matters; readiness has a policy on each."""

    INFO = "INFO", "worth knowing"
    WARN = "WARN", "look when there is time"
    ERROR = "ERROR", "look before the data is used"
    CRITICAL = "CRITICAL", "look now"

    @classmethod
    def at_least(cls, severity: str) -> list[str]:
        """`severity` and all above it."""
        return cls.values[cls.values.index(severity) :]

    @classmethod
    def is_graver(cls, severity: str, than: str) -> bool:
        """Whether one stands above the other."""
        return cls.values.index(severity) > cls.values.index(than)
