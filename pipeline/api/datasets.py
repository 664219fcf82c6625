"""The endpoints that answer with a dataset of the readers: where each is, and by which function it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline import readers
from pipeline.readers.parameters import Parameter, parameters_of
from pipeline.readers.result import Result

ROOT = "/api/v1/"
Function = Callable[..., Result]
KEPT_FOR_CURSORS = ("on_day",)


@dataclass(frozen=True, slots=True)
class Source:
    """An endpoint: its path below /api/v1/, the readers' function that answers it, a query to try, the permission needed.

    A feed is followed by its positions, for ever, and has no last page.
    """

    path: str
    answer: Function
    example: str
    permission: str = "pipeline.view_capture"
    is_feed: bool = False

    @property
    def name(self) -> str:
        """The function's name: that of its parameters."""
        return self.answer.__name__

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """What it may be asked. `on_day` is kept for cursors: who wants another day asks as of it."""
        return {name: one for name, one in parameters_of(self.answer).items() if name not in KEPT_FOR_CURSORS}

    @property
    def title(self) -> str:
        """What it answers, in a few words."""
        return (self.answer.__doc__ or "").partition("\n")[0]

    def takes(self, name: str) -> bool:
        """Whether the function has a parameter of this name."""
        return name in parameters_of(self.answer)


ANALYTICS = "pipeline.view_analyticssnapshot"
SOURCES: tuple[Source, ...] = (
    Source("readiness", readers.readiness, "use=trading&weeks=2", "pipeline.view_readiness"),
    Source(
        "readiness/changes", readers.readiness_changes, "after=0&use=trading", "pipeline.view_readiness", is_feed=True
    ),
    Source("weeks", readers.weeks, "weeks=13", "pipeline.view_readiness"),
    Source("partitions", readers.partitions, "weeks=2&state=LATE,RESTATED", "pipeline.view_partition"),
    Source("captures", readers.captures, "week_ending=2026-10-23&tier=OTC"),
    Source("rows", readers.rows, "weeks=13&symbol=BRK.B&as_of=2026-11-18"),
    Source("rows/search", readers.row_search, "weeks=2&issue_contains=holdings&sort=shares"),
    Source("rows/history", readers.row_history, "symbol=BRK.B&week_ending=2026-10-23"),
    Source("differences", readers.differences, "from_as_of=2026-11-16&symbol=BRK.B"),
    Source("restatements", readers.restatements, "after=0", is_feed=True),
    Source("restatements/symbols", readers.restated_symbols, "from_day=2026-10-01&to_day=2026-10-31"),
    Source("restatements/venues", readers.restated_venues, "from_day=2026-10-01&to_day=2026-10-31"),
    Source("venues", readers.venues, "tier=ALL&venue_kind=ATS&sort=share_change_bp&top=10", ANALYTICS),
    Source("venues/history", readers.venue_history, "mpid=UBSA&tier=ALL&weeks=13", ANALYTICS),
    Source("venues/symbols", readers.venue_symbols, "mpid=UBSA&week_ending=2026-10-23", ANALYTICS),
    Source("symbols", readers.symbols, "q=BRK/B"),
    Source("symbols/history", readers.symbol_history, "symbol=BRK.B&weeks=52", ANALYTICS),
    Source("symbols/venues", readers.symbol_venues, "symbol=BRK.B&weeks=12&shape=wide", ANALYTICS),
    Source("symbols/leaders", readers.symbol_leaders, "venue_kind=ATS&top=20", ANALYTICS),
    Source("market", readers.market, "tier=ALL&venue_kind=ALL&weeks=all", ANALYTICS),
    Source("revisions/dates", readers.restatement_dates, "tier=OTC"),
    Source("revisions/triangle", readers.revision_triangle, "venue_kind=ATS&ages=0,7,28", ANALYTICS),
    Source("revisions/profile", readers.revision_profile, "venue_kind=ATS&ages=28", ANALYTICS),
    Source("revisions/venues", readers.revision_venues, "mpid=UBSA&ages=28", ANALYTICS),
    Source("revisions/venues/triangle", readers.revision_venue_triangle, "mpid=UBSA&ages=7,28", ANALYTICS),
)
BY_PATH: Mapping[str, Source] = {source.path: source for source in SOURCES}
