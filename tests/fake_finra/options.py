"""What the service does where sources on FINRA disagree: each option is a reading, its default the one last observed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Empty(StrEnum):
    """How a query without rows is answered: observed in 2026 as 204, documented as 200 with `[]`."""

    NO_CONTENT = "204"
    BARE_NO_CONTENT = "204-bare"  # and without the Record-* headers
    EMPTY_LIST = "[]"


class HistoricFields(StrEnum):
    """How rows of the history spell the names of their own two fields, where they carry them: both have been seen."""

    CAMEL = "historicalWeek"
    LOWER = "historicalweek"

    def spelling(self, name: str) -> str:
        """A field's name as it is sent."""
        return name.lower() if self is HistoricFields.LOWER else name


class Window(StrEnum):
    """Over what a rate is counted: any second that can be cut out, or each second of the clock."""

    SLIDING = "sliding"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Options:
    """One reading of FINRA. `None` switches a limit off.

    `recent_weeks` is how far back weeklySummary goes (about five years as observed, 52 by the notice of 2021);
    weeklySummaryHistoric goes from `historic_from_weeks` to `historic_weeks` (four or five years).
    """

    empty: Empty = Empty.NO_CONTENT
    recent_weeks: int = 261
    historic_from_weeks: int = 52
    historic_weeks: int = 261
    historic_fields: HistoricFields | None = HistoricFields.CAMEL
    most_sort_fields: int = 3  # two are documented, three have been seen in a live client
    partitions_forbidden: bool = False  # one client saw 403 on another dataset
    requests_per_second: int | None = 20
    window: Window = Window.SLIDING
    throttle_status: int = 429
    retry_after: str | None = "1"  # seconds or an HTTP date; None: the header is not sent
    asynchronous_per_hour: int | None = 20
    asynchronous_polls: int = 1  # answered 202 before the result is there
    anonymous: bool = True  # False: every request needs a token
    client_id: str = "client"
    client_secret: str = "secret"
    token_seconds: int = 43_200
    expires_in_text: bool = False  # "expires_in" as a JSON string
    default_limit: int = 1_000
    max_limit: int = 5_000
    max_offset: int = 500_000
    max_payload: int = 3 * 1024 * 1024
    blank_is_null: bool = False  # an empty symbol or issue name as null instead of ""
    null_is_absent: bool = False  # totalNotionalSum of an older row left out instead of null
