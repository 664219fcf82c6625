"""Figures for a person: with thousands separators, exact, with their unit."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from pipeline.models import HHI_POINTS, Capture

NONE = "-"
KIB = 1024
SHOWN_OF_A_HASH = 16
UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def number(value: Decimal | int | None) -> str:
    """1,234.5: exact, without trailing zeros; a dash for none."""
    if value is None:
        return NONE
    text = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def signed(value: Decimal | int) -> str:
    """+1,234, -5, or 0."""
    return f"+{number(value)}" if value > 0 else number(value)


def percent(share: float | None) -> str:
    """A share of 0-1 as 12.345 %."""
    return NONE if share is None else f"{share * 100:.3f} %"


def percent_points(change: float | None) -> str:
    """A change of a share as +0.052 pp; a dash for what is not known."""
    return NONE if change is None else f"{change * 100:+.3f} pp"


def points(low: float | None, high: float | None) -> str:
    """HHI in antitrust points, 0-10,000; an interval where the De Minimis pool takes part."""
    if low is None or high is None:
        return NONE
    least, most = f"{low * HHI_POINTS:,.1f}", f"{high * HHI_POINTS:,.1f}"
    return least if least == most else f"{least} to {most}"


def whole_points(low: float | None, high: float | None) -> str:
    """HHI in antitrust points without decimals: 1,710 to 2,808."""
    if low is None or high is None:
        return NONE
    least, most = f"{low * HHI_POINTS:,.0f}", f"{high * HHI_POINTS:,.0f}"
    return least if least == most else f"{least} to {most}"


def size(count: int) -> str:
    """Bytes as 812 B, 1.4 MiB."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < KIB:
            break
        amount, unit = amount / KIB, larger
    return f"{count:,} B" if unit == "B" else f"{amount:,.1f} {unit}"


def seconds(duration: timedelta) -> str:
    """A duration as 0.42 s or 3 min 5 s."""
    total = duration.total_seconds()
    if total < 60:
        return f"{total:.2f} s"
    return f"{int(total // 60):,} min {int(total % 60)} s"


def between(start: datetime | None, end: datetime | None) -> str:
    """How long it took from one instant to another; a dash where one is unknown."""
    return seconds(end - start) if start and end else NONE


def ago(then: datetime, now: datetime) -> str:
    """How long ago, short: 5 min ago, 3 h ago, 2 d ago."""
    passed = int((now - then).total_seconds())
    return next((f"{passed // size} {unit} ago" for size, unit in UNITS if passed >= size), "just now")


def short(sha256: str) -> str:
    """The beginning of a hash, as pages show it."""
    return sha256[:SHOWN_OF_A_HASH]


def restated(capture: Capture | None) -> str:
    """Rows added / changed / removed against the vintage before: +200 / 35 / -2; a dash without a comparison."""
    if capture is None or capture.version == 1 or capture.normalized_at is None:
        return NONE
    return f"+{number(capture.rows_added)} / {number(capture.rows_changed)} / -{number(capture.rows_removed)}"
