"""All rows of a partition, read from its pages: looked at once, for the source that checks them and for their reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.finra.sources.api.control_totals import ControlTotals, Listing, control_totals
from pipeline.finra.sources.api.decoding import Rows
from pipeline.finra.sources.api.oddities import Oddities

NATURAL_KEY = ("cut", "symbol", "issue_name", "mpid", "crd", "venue_name", "product_type")


@dataclass(frozen=True, slots=True)
class AllRows:
    """The rows of each page, in the order of the pages, and what they come to together.

    `frame` has the rows of all pages without those whose natural key an earlier one has, `controls` FINRA's totals and where
    the rows by firm differ from them.
    """

    pages: Sequence[Rows]
    frame: pl.DataFrame
    controls: ControlTotals
    listing: Listing
    oddities: Oddities

    @classmethod
    def of(cls, pages: Sequence[Rows]) -> AllRows:
        """The rows of at least one page."""
        frame = distinct(pl.concat([page.frame for page in pages]))
        listing = sum((page.listing for page in pages), Listing())
        oddities = sum((page.oddities for page in pages), Oddities())
        return cls(pages, frame, control_totals(frame), listing, oddities)

    @property
    def is_torn(self) -> bool:
        """Whether a row came in two pages. One that comes twice within a page is one row, and tears nothing."""
        received = sum(map(len, self.pages))
        return self.frame.height < received and self.frame.height < sum(
            distinct(page.frame).height for page in self.pages
        )


def distinct(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows without those whose natural key an earlier one has. As a rule none has: their hashes prove it sooner."""
    if rows.select(NATURAL_KEY).hash_rows().n_unique() == rows.height:
        return rows
    return rows.unique(subset=NATURAL_KEY, keep="first", maintain_order=True)
