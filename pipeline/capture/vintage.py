"""The rows of a capture to be, compared with those of the capture before it.

FINRA's web file lacks three columns that its API has: product type, CRD number and notional. Where one is followed by the
other, rows are compared in the columns that both have, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import polars as pl

from pipeline.capture import current
from pipeline.finra.content import Content
from pipeline.finra.payloads import PayloadFormat
from pipeline.finra.rows import FIGURES, NOTIONAL
from pipeline.models import Capture
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.compare import Changes, Counts, difference_of

VENUE = ("symbol", "issue_name", "mpid", "venue_name")


@dataclass(frozen=True, slots=True)
class Vintage:
    """A payload's content, and how it differs from the rows of `base`.

    `changes` are None where there is no base, or its content is the same. `in_common` are those in the columns that both
    sources have; None where both have the same columns. `lost` is the capture that it ought to be compared with, and whose
    rows are lost for good: they are given up when the vintage is stored.
    """

    content: Content
    base: Capture | None
    changes: Changes | None = None
    in_common: Changes | None = None
    lost: Capture | None = None

    @property
    def comparable(self) -> Changes | None:
        """The changes by which it is judged."""
        return self.in_common or self.changes

    @property
    def counts(self) -> Counts:
        """The counts that the capture records."""
        if self.changes is not None:
            return self.changes
        kept = self.content.rows_kept
        return Counts(kept, 0, 0, 0) if self.base is None else Counts(0, 0, 0, kept)


def following(
    base: Capture | None, content: Content, rows_of_base: Callable[[], pl.DataFrame] | None = None
) -> Vintage:
    """The vintage that a content is after a capture. `rows_of_base` returns the rows of that where they are read already.

    ArchiveDamaged as `current.frame_of`.
    """
    if base is None or base.content_hash == content.content_hash:
        return Vintage(content, base)
    rows_of_base = rows_of_base or partial(current.frame_of, base)
    before, after = rows_of_base(), content.frame
    changes = difference_of(before, after)
    if PayloadFormat(base.payload_format).is_api is not bool(content.parts):
        return Vintage(content, base, changes)
    return Vintage(content, base, changes, difference_of(in_common(before), in_common(after)))


def following_by_force(
    base: Capture | None, content: Content, rows_of_base: Callable[[], pl.DataFrame] | None = None
) -> Vintage:
    """As `following`, and where the rows of `base` are lost for good, the vintage is compared with nothing."""
    try:
        return following(base, content, rows_of_base)
    except ArchiveDamaged:
        return Vintage(content, None, lost=base)


def in_common(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows without what only the API has.

    Rows that have one key then are told apart by their number, in the place of the CRD number.
    """
    blank = frame.with_columns(crd=pl.lit(""), product_type=pl.lit(""), notional=pl.lit(None, NOTIONAL))
    ordered = blank.sort(*VENUE, *FIGURES)
    return ordered.with_columns(crd=pl.int_range(pl.len()).over(VENUE).cast(pl.String))
