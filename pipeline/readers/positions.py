"""Positions of the feed: how far it has come, and that no question names one that is still to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.models import Capture, FeedCounter
from pipeline.readers.errors import ErrorKind, ReadersError
from pipeline.readers.once import once
from pipeline.readers.values import count


@dataclass(frozen=True, slots=True)
class HighWater:
    """The newest capture of the ledger: its place in the feed, and since when it is known. None without one."""

    position: int
    known_since: datetime | None


@once
def high_water() -> HighWater:
    """How far the feed of captures has come."""
    newest = Capture.objects.normalized().order_by("-position").values_list("position", "normalized_at").first()
    return HighWater(newest[0] or 0, newest[1]) if newest else HighWater(0, None)


def reached(name: str, value: int | str) -> int:
    """A position that has been given. ReadersError for one to come: its answer would be another one tomorrow."""
    position = count(name, value)
    last = FeedCounter.objects.last_given()
    if position > last:
        detail = f"{name} {position} is still to come: the last position given is {last}"
        raise ReadersError(ErrorKind.POSITION_IN_THE_FUTURE, detail, name)
    return position
