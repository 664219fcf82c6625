"""All rows of a partition, read from its pages: looked at once, for the source that checks them and for their reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from pipeline.finra.sources.api.control_totals import ControlTotals, Listing, control_totals
from pipeline.finra.sources.api.decoding import Rows
from pipeline.finra.sources.api.oddities import Oddities

NATURAL_KEY = ("cut", "symbol", "issue_name", "mpid", "crd", "venue_name", "product_type")


@dataclass(frozen=True)
class AllRows:
    """The rows of each page, in the order of the pages."""

    pages: Sequence[Rows]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The rows of all pages, without those whose natural key an earlier one has."""
        return distinct(pl.concat([page.frame for page in self.pages]))

    @cached_property
    def controls(self) -> ControlTotals:
        """FINRA's totals, and where the rows by firm differ from them."""
        return control_totals(self.frame)

    @cached_property
    def listing(self) -> Listing:
        """How the partition stood at FINRA."""
        return sum((page.listing for page in self.pages), Listing())

    @cached_property
    def oddities(self) -> Oddities:
        """The oddities of all pages."""
        return sum((page.oddities for page in self.pages), Oddities())

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
