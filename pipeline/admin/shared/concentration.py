"""Concentration in words: the bands of the 2023 US Merger Guidelines, in points of 0 to 10,000."""

from __future__ import annotations

from pipeline.admin.shared import figures
from pipeline.admin.shared.base import badge
from pipeline.models import HHI_POINTS

MODERATE, HIGH = 1_000, 1_800
UNCONCENTRATED, MODERATELY, HIGHLY = "low", "moderate", "high"
LOOKS = {UNCONCENTRATED: "GOOD", MODERATELY: "WARN", HIGHLY: "ERROR"}


def band(hhi: float) -> str:
    """The band of an HHI on 0-1: low; above 1,000 points moderate, above 1,800 high."""
    points = hhi * HHI_POINTS
    if points > HIGH:
        return HIGHLY
    return MODERATELY if points > MODERATE else UNCONCENTRATED


def band_badge(low: float | None, high: float | None) -> str:
    """The band of an interval of HHI, or both its ends; a dash without volume."""
    if low is None or high is None:
        return figures.NONE
    least, most = band(low), band(high)
    return badge(LOOKS[most], most if least == most else f"{least} to {most}")


def effective_venues(low: float | None, high: float | None) -> str:
    """The effective number of venues, 1 / HHI: an interval where HHI is one; a dash without volume."""
    if low is None or high is None:
        return figures.NONE
    fewest, most = f"{1 / high:,.1f}", f"{1 / low:,.1f}" if low else "any number"
    return fewest if fewest == most else f"{fewest} to {most}"
