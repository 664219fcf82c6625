"""The files of a release: each with its dataset, what it is made from, and how it is made.

All as of one position of the feed. Plain folders, with week and tier in the rows: DuckDB, polars and pandas read a folder as
one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import pairwise

import polars as pl

from pipeline.models import Capture
from pipeline.readers import fields
from pipeline.readers.captures import captures
from pipeline.readers.datasets.ledger import PARTITIONS, READINESS, READINESS_CHANGES, WEEKS
from pipeline.readers.datasets.market import MARKET
from pipeline.readers.datasets.revisions import REVISION_PROFILE
from pipeline.readers.datasets.rows import DIFFERENCES, ROW_HISTORY, ROWS
from pipeline.readers.datasets.symbols import SYMBOL_HISTORY, SYMBOL_VENUES
from pipeline.readers.datasets.venues import VENUE_HISTORY
from pipeline.readers.differences import Compared
from pipeline.readers.fields import Dataset
from pipeline.readers.keywords import Asked
from pipeline.readers.market import market
from pipeline.readers.meta import digest_of
from pipeline.readers.partitions import partitions, weeks
from pipeline.readers.readiness import readiness
from pipeline.readers.readiness_changes import readiness_changes
from pipeline.readers.restatements import restatements
from pipeline.readers.result import Result
from pipeline.readers.revision_profile import revision_profile
from pipeline.readers.row_history import versions_of
from pipeline.readers.rows import rows
from pipeline.readers.symbol_history import histories, volumes
from pipeline.readers.values import instant
from pipeline.readers.venues import venue_weeks
from pipeline.weeks.analytics import CALCULATION_VERSION


@dataclass(frozen=True, slots=True)
class Content:
    """A file to be: `inputs` is a hash of all that its rows follow from, `captures` are those that they come from."""

    path: str
    dataset: Dataset
    inputs: str
    captures: tuple[str, ...]
    make: Callable[[], pl.DataFrame]


def contents(asked: Asked, known: Sequence[Capture], *, live: bool) -> Iterator[Content]:
    """The files of a release: `known` are all captures that count, `asked` pins the moment and names the weeks.

    The files that tell the ledger's present state (partitions, weeks, readiness, the profile) are in a `live` release alone:
    that of the newest rows.
    """
    chosen = rows(**asked).rows
    held: list[Capture] = list(getattr(chosen, "captures", []))
    for capture in held:
        yield _of_partition(capture)
        yield _history(capture, known)
    yield from _figures(asked, held)
    yield from _differences(held, known)
    yield _of_ledger("restatements.parquet", restatements(), known)
    yield _of_ledger("captures.parquet", captures(), known)
    yield _verdicts(None if live else instant("as_of", asked["as_of"]).astimezone(UTC))
    if live:
        yield from _live()


def _of_partition(capture: Capture) -> Content:
    key = capture.partition.key
    result = rows(capture=capture.capture_id)
    path = f"rows/{key.tier}/{key.week_ending}.parquet"
    return _content(path, ROWS, [capture], lambda: result.frame)


def _history(capture: Capture, known: Sequence[Capture]) -> Content:
    """The row versions of a partition, of all its vintages that are kept, up to the one that is newest."""
    chain = [one for one in known if one.partition_id == capture.partition_id and one.version <= capture.version]
    kept = [one for one in chain if one.pruned_at is None]
    key = capture.partition.key
    path = f"row_history/{key.tier}/{key.week_ending}.parquet"
    return _content(path, ROW_HISTORY, kept, lambda: versions_of(kept))


def _content(path: str, dataset: Dataset, made_from: Sequence[Capture], make: Callable[[], pl.DataFrame]) -> Content:
    said = [path, [(one.capture_id, one.content_hash) for one in made_from], CALCULATION_VERSION, fields.SCHEMA_VERSION]
    return Content(path, dataset, digest_of(said), tuple(one.capture_id for one in made_from), make)


def _figures(asked: Asked, held: Sequence[Capture]) -> Iterator[Content]:
    """The figures: venues and markets of all weeks, securities a file for each year."""
    if not held:
        return
    yield _content("venue_week.parquet", VENUE_HISTORY, held, lambda: _over_tiers(venue_weeks, asked))
    yield _content("market_week.parquet", MARKET, held, lambda: _over_tiers(lambda **one: market(**one).frame, asked))
    for year in sorted({one.partition.week_ending.year for one in held}):
        of_year = [one for one in held if one.partition.week_ending.year == year]
        span = _weeks_of(asked, {one.partition.week_ending for one in of_year})
        yield _content(f"symbol_week/{year}.parquet", SYMBOL_HISTORY, of_year, lambda span=span: histories(**span))  # type: ignore[misc]
        yield _content(f"symbol_venue_week/{year}.parquet", SYMBOL_VENUES, of_year, lambda span=span: volumes(**span))  # type: ignore[misc]


def _differences(held: Sequence[Capture], known: Sequence[Capture]) -> Iterator[Content]:
    """What each vintage changed beside the one before it, a file for each year of weeks: with no row where none did."""
    newest = {one.partition_id: one.version for one in held}
    pairs: dict[int, list[tuple[Capture, Capture]]] = {one.partition.week_ending.year: [] for one in held}
    kept = [one for one in known if one.pruned_at is None and one.version <= newest.get(one.partition_id, 0)]
    for before, after in pairwise(sorted(kept, key=lambda one: (one.partition_id, one.version))):
        if before.partition_id == after.partition_id:
            pairs[after.partition.week_ending.year].append((before, after))
    for year, of_year in sorted(pairs.items()):
        compared = Compared(tuple(of_year), ())
        made_from = [capture for pair in of_year for capture in pair]
        yield _content(f"differences/{year}.parquet", DIFFERENCES, made_from, partial(_in_order, compared))


def _in_order(compared: Compared) -> pl.DataFrame:
    return compared.rows().sort(*DIFFERENCES.key, "capture_id_after")


def _weeks_of(asked: Asked, of_year: set[date]) -> Asked:
    """The same moment, of these weeks."""
    span = {
        name: value for name, value in asked.items() if name not in ("weeks", "week_ending", "from_week", "to_week")
    }
    return Asked(**{**span, "week_ending": sorted(of_year)})  # type: ignore[typeddict-item]


def _over_tiers(figures: Callable[..., pl.DataFrame], asked: Asked) -> pl.DataFrame:
    """Figures of each tier, and those over all tiers."""
    return pl.concat([figures(**asked), figures(**{**asked, "tier": "ALL"})])


def _of_ledger(path: str, result: Result, known: Sequence[Capture]) -> Content:
    """Entries of captures that count."""
    ids = [one.capture_id for one in known]
    return Content(
        path,
        result.dataset,
        digest_of([path, result.etag, ids]),
        (),
        lambda: result.frame.filter(pl.col("capture_id").is_in(ids)),
    )


def _verdicts(until: datetime | None) -> Content:
    """The feed of verdicts, whole or up to an instant: under which of them the release was made."""
    result = readiness_changes()
    is_known = pl.lit(True) if until is None else pl.col("occurred_at") <= until
    path, said = "readiness_changes.parquet", digest_of([result.etag, until])
    return Content(path, READINESS_CHANGES, said, (), lambda: result.frame.filter(is_known))


def _live() -> Iterator[Content]:
    """What the ledger says now."""
    for path, dataset, result in (
        ("partitions.parquet", PARTITIONS, partitions(weeks="all")),
        ("weeks.parquet", WEEKS, weeks(weeks="all")),
        ("readiness.parquet", READINESS, readiness(weeks="all")),
        ("revision_profile.parquet", REVISION_PROFILE, revision_profile()),
    ):
        yield Content(path, dataset, digest_of([path, result.etag]), (), _frame_of(result))


def _frame_of(result: Result) -> Callable[[], pl.DataFrame]:
    return lambda: result.frame
