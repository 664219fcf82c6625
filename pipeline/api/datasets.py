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
    """An endpoint: its path below /api/v1/, the readers' function that answers it, what its user needs to have.

    A feed is followed by its positions, for ever, and has no last page.
    """

    path: str
    answer: Function
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
    Source("readiness", readers.readiness, "pipeline.view_readiness"),
    Source("readiness/changes", readers.readiness_changes, "pipeline.view_readiness", is_feed=True),
    Source("weeks", readers.weeks, "pipeline.view_readiness"),
    Source("partitions", readers.partitions, "pipeline.view_partition"),
    Source("captures", readers.captures),
    Source("rows", readers.rows),
    Source("rows/search", readers.row_search),
    Source("rows/history", readers.row_history),
    Source("differences", readers.differences),
    Source("restatements", readers.restatements, is_feed=True),
    Source("restatements/symbols", readers.restated_symbols),
    Source("restatements/venues", readers.restated_venues),
    Source("venues", readers.venues, ANALYTICS),
    Source("venues/history", readers.venue_history, ANALYTICS),
    Source("venues/symbols", readers.venue_symbols, ANALYTICS),
    Source("symbols", readers.symbols),
    Source("symbols/history", readers.symbol_history, ANALYTICS),
    Source("symbols/venues", readers.symbol_venues, ANALYTICS),
    Source("symbols/leaders", readers.symbol_leaders, ANALYTICS),
    Source("market", readers.market, ANALYTICS),
    Source("revisions/dates", readers.restatement_dates),
    Source("revisions/triangle", readers.revision_triangle, ANALYTICS),
    Source("revisions/profile", readers.revision_profile, ANALYTICS),
    Source("revisions/venues", readers.revision_venues, ANALYTICS),
    Source("revisions/venues/triangle", readers.revision_venue_triangle, ANALYTICS),
)
BY_PATH: Mapping[str, Source] = {source.path: source for source in SOURCES}
