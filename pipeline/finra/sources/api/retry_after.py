"""The wait that a service asks for: the header Retry-After (RFC 9110, 10.2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_ASKED = 30 * 86_400.0  # a month: more is no answer, and no clock counts so far


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds, written as a number or as a date (RFC 9110, 10.2.3); None without one that can be read.

    A date is compared with the service's own clock, if it gives it: ours may differ.
    """
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal():
        return min(float(said), LONGEST_ASKED)
    until = _instant(said)
    if until is None:
        return None
    now = _instant(headers.get("date", "")) or datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_ASKED)


def _instant(said: str) -> datetime | None:
    with suppress(ValueError, OverflowError):  # the second for a year of twenty digits
        instant = parsedate_to_datetime(said)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return None
