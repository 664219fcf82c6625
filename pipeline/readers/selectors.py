"""Selectors: the vintage of each partition that a question asks for: newest, first, by instant, age, feed or capture."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SelectorKind(StrEnum):
    """The ways to choose vintages."""

    LATEST = "latest"
    FIRST = "first"
    AS_OF = "as_of"
    AT_AGE = "at_age_days"
    POSITION = "position"
    CAPTURE = "capture"
    PUBLISHED = "published"


class Clock(StrEnum):
    """The clock of `as_of`: ours, by the captures; or FINRA's, by the publications."""

    CAPTURED = "captured"
    PUBLISHED = "published"


PINNED = (SelectorKind.AS_OF, SelectorKind.POSITION, SelectorKind.CAPTURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """One way of choosing vintages.

    `as_of` is an aware instant; `at_age_days` counts from the due date of each partition; `position` is one of the feed of
    captures: what was committed by then, whatever the clocks say; `capture` is a capture_id. PUBLISHED is `as_of` by FINRA's
    clock.
    """

    kind: SelectorKind = SelectorKind.LATEST
    as_of: datetime | None = None
    at_age_days: int | None = None
    position: int | None = None
    capture: str | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether it chooses the same vintages for ever, whatever is captured later."""
        return self.kind in PINNED


LATEST = Selector()
