"""The functions by the names of their datasets, for commands and pages that get a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.readers.captures import captures
from pipeline.readers.differences import differences
from pipeline.readers.market import market
from pipeline.readers.partitions import partitions, weeks
from pipeline.readers.readiness import readiness
from pipeline.readers.readiness_changes import readiness_changes
from pipeline.readers.restatement_dates import restatement_dates
from pipeline.readers.restatements import restated_symbols, restated_venues, restatements
from pipeline.readers.result import Result
from pipeline.readers.revision_profile import revision_profile
from pipeline.readers.revision_venues import revision_venue_triangle, revision_venues
from pipeline.readers.revisions import revision_triangle
from pipeline.readers.row_history import row_history
from pipeline.readers.row_search import row_search
from pipeline.readers.rows import rows
from pipeline.readers.symbol_history import symbol_history, symbol_venues
from pipeline.readers.symbol_leaders import symbol_leaders
from pipeline.readers.symbols import symbols
from pipeline.readers.venue_symbols import venue_symbols
from pipeline.readers.venues import venue_history, venues

FUNCTIONS: Mapping[str, Callable[..., Result]] = {
    "rows": rows,
    "row_search": row_search,
    "row_history": row_history,
    "differences": differences,
    "restatements": restatements,
    "restated_symbols": restated_symbols,
    "restated_venues": restated_venues,
    "restatement_dates": restatement_dates,
    "venues": venues,
    "venue_history": venue_history,
    "venue_symbols": venue_symbols,
    "symbols": symbols,
    "symbol_history": symbol_history,
    "symbol_venues": symbol_venues,
    "symbol_leaders": symbol_leaders,
    "market": market,
    "revision_triangle": revision_triangle,
    "revision_profile": revision_profile,
    "revision_venues": revision_venues,
    "revision_venue_triangle": revision_venue_triangle,
    "partitions": partitions,
    "captures": captures,
    "weeks": weeks,
    "readiness": readiness,
    "readiness_changes": readiness_changes,
}
