"""A sample: one figure of a metric, with its labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

from pipeline.finra.calendar import MARKET_ZONE


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of the metric `name` (without the prefix) for some labels. Instants are seconds since 1970, in UTC."""

    name: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


def sample(name: str, value: float, **labels: str) -> Sample:
    """A figure."""
    return Sample(name, float(value), tuple(labels.items()))


def instant(name: str, at: datetime | None, **labels: str) -> list[Sample]:
    """A sample of an instant; none without one, since 0 would mean 1970."""
    return [] if at is None else [sample(name, at.timestamp(), **labels)]


def start_of(day: date) -> datetime:
    """When a day begins in New York."""
    return datetime.combine(day, time(), MARKET_ZONE)
