"""The dictionary of readers: every dataset by its name."""

from __future__ import annotations

from pipeline.readers.datasets.ledger import CAPTURES, PARTITIONS, READINESS, READINESS_CHANGES, WEEKS
from pipeline.readers.datasets.market import MARKET
from pipeline.readers.datasets.restatements import RESTATED_SYMBOLS, RESTATED_VENUES, RESTATEMENT_DATES, RESTATEMENTS
from pipeline.readers.datasets.revisions import (
    REVISION_PROFILE,
    REVISION_TRIANGLE,
    REVISION_VENUE_TRIANGLE,
    REVISION_VENUES,
)
from pipeline.readers.datasets.rows import DIFFERENCES, ROW_HISTORY, ROW_SEARCH, ROWS
from pipeline.readers.datasets.symbols import SYMBOL_HISTORY, SYMBOL_LEADERS, SYMBOL_VENUES, SYMBOLS
from pipeline.readers.datasets.venues import VENUE_HISTORY, VENUE_SYMBOLS, VENUES
from pipeline.readers.fields import Dataset

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        ROWS,
        ROW_SEARCH,
        ROW_HISTORY,
        DIFFERENCES,
        RESTATEMENTS,
        RESTATED_SYMBOLS,
        RESTATED_VENUES,
        RESTATEMENT_DATES,
        VENUES,
        VENUE_HISTORY,
        VENUE_SYMBOLS,
        SYMBOLS,
        SYMBOL_HISTORY,
        SYMBOL_VENUES,
        SYMBOL_LEADERS,
        MARKET,
        REVISION_TRIANGLE,
        REVISION_PROFILE,
        REVISION_VENUES,
        REVISION_VENUE_TRIANGLE,
        PARTITIONS,
        CAPTURES,
        WEEKS,
        READINESS,
        READINESS_CHANGES,
    )
}
