"""Answers for readers: commands, API, pages and exports take all their data from these functions.

from pipeline import readers
readers.rows(weeks=13, symbol="BRK.B", as_of="2026-11-18").to_pandas()
"""

from __future__ import annotations

from pipeline.readers.captures import captures
from pipeline.readers.dictionary import DATASETS
from pipeline.readers.differences import differences
from pipeline.readers.errors import ErrorKind, Facts, ReadersError
from pipeline.readers.fields import Dataset, Field
from pipeline.readers.market import market
from pipeline.readers.parameters import PARAMETERS, Parameter, ParameterType, parameters_of
from pipeline.readers.partitions import partitions, weeks
from pipeline.readers.readiness import readiness
from pipeline.readers.readiness_changes import readiness_changes
from pipeline.readers.releases import release_file, releases
from pipeline.readers.restatement_dates import restatement_dates
from pipeline.readers.restatements import restated_symbols, restated_venues, restatements
from pipeline.readers.result import Page, Result
from pipeline.readers.revision_profile import revision_profile
from pipeline.readers.revision_sentence import revision_sentence
from pipeline.readers.revision_venues import revision_venue_triangle, revision_venues
from pipeline.readers.revisions import revision_triangle
from pipeline.readers.row_history import row_history
from pipeline.readers.row_search import row_search
from pipeline.readers.rows import rows, vintage_file
from pipeline.readers.symbol_history import symbol_history, symbol_venues
from pipeline.readers.symbol_leaders import symbol_leaders
from pipeline.readers.symbols import symbols
from pipeline.readers.venue_symbols import venue_symbols
from pipeline.readers.venues import venue_history, venues
from pipeline.readers.wording import did_you_mean

__all__ = [
    "DATASETS",
    "PARAMETERS",
    "Dataset",
    "ErrorKind",
    "Facts",
    "Field",
    "Page",
    "Parameter",
    "ParameterType",
    "ReadersError",
    "Result",
    "captures",
    "did_you_mean",
    "differences",
    "market",
    "parameters_of",
    "partitions",
    "readiness",
    "readiness_changes",
    "release_file",
    "releases",
    "restated_symbols",
    "restated_venues",
    "restatement_dates",
    "restatements",
    "revision_profile",
    "revision_sentence",
    "revision_triangle",
    "revision_venue_triangle",
    "revision_venues",
    "row_history",
    "row_search",
    "rows",
    "symbol_history",
    "symbol_leaders",
    "symbol_venues",
    "symbols",
    "venue_history",
    "venue_symbols",
    "venues",
    "vintage_file",
    "weeks",
]
