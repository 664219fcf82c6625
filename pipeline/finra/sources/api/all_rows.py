"""All rows of a partition, read from its pages: looked at once, for the source that checks them and for their reader.

A query's rows are looked at as soon as its last page has come, while the pages of the others are on their way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import polars as pl

from pipeline.finra.formats.api_lines import FIRM_CUTS, lines_of, no_lines, number_of
from pipeline.finra.sources.api.control_totals import ControlTotals, Listing, control_totals, sums_of
from pipeline.finra.sources.api.decoding import Rows
from pipeline.finra.sources.api.fields import SummaryType
from pipeline.finra.sources.api.oddities import Oddities

NATURAL_KEY = ("cut", "symbol", "issue_name", "mpid", "crd", "venue_name", "product_type")


@dataclass(frozen=True, slots=True)
class QueryRows:
    """The rows of one query, from all of its pages in their order.

    `lines` has those by firm, for each cut that there is, `sums` what the rows come to by symbol.
    """

    pages: int
    lines: dict[SummaryType, pl.DataFrame]
    sums: pl.DataFrame
    listing: Listing
    oddities: Oddities
    is_sample: bool
    is_torn: bool

    @classmethod
    def of(cls, pages: Sequence[Rows], texts: pl.Categorical) -> QueryRows:
        """The rows of at least one page. `texts` are the categories of all queries of a partition."""
        cuts = [cut for cut in FIRM_CUTS if any(number_of(page, cut) for page in pages)]
        with ThreadPoolExecutor(len(FIRM_CUTS)) as executor:
            lines = executor.map(partial(lines_of, pages, texts=texts), cuts)
            rows = distinct(pl.concat([page.frame for page in pages]))
            sums = sums_of(rows)
        return cls(
            pages=len(pages),
            lines=dict(zip(cuts, lines, strict=True)),
            sums=sums,
            listing=sum((page.listing for page in pages), Listing()),
            oddities=sum((page.oddities for page in pages), Oddities()),
            is_sample=any(page.is_sample for page in pages),
            is_torn=_is_torn(pages, rows.height),
        )


@dataclass(frozen=True, slots=True)
class AllRows:
    """The rows of all queries, in the order of the queries and of their pages.

    `lines` has the rows by firm as `api_lines.lines_of` gives them, `page` counted over all queries. `controls` are FINRA's
    totals, and where the rows by firm differ from them.
    """

    lines: pl.DataFrame
    cuts: frozenset[SummaryType]
    controls: ControlTotals
    listing: Listing
    oddities: Oddities
    is_sample: bool

    @classmethod
    def of(cls, queries: Sequence[QueryRows]) -> AllRows:
        """The rows of at least one query."""
        return cls(
            lines=pl.concat(list(_lines(queries)) or [no_lines()]),
            cuts=frozenset(cut for query in queries for cut in query.lines),
            controls=control_totals([query.sums for query in queries]),
            listing=sum((query.listing for query in queries), Listing()),
            oddities=sum((query.oddities for query in queries), Oddities()),
            is_sample=any(query.is_sample for query in queries),
        )


def own_categories() -> pl.Categorical:
    """The categories of one partition's texts: they go with it."""
    return pl.Categorical(pl.Categories.random())


def _lines(queries: Sequence[QueryRows]) -> Iterator[pl.DataFrame]:
    first = accumulate((query.pages for query in queries), initial=0)
    for query, pages_before in zip(queries, first, strict=False):
        for lines in query.lines.values():
            yield lines.with_columns(pl.col("page") + pages_before)


def _is_torn(pages: Sequence[Rows], different: int) -> bool:
    """Whether a row came in two pages. One that comes twice within a page is one row, and tears nothing."""
    received = sum(map(len, pages))
    return different < received and different < sum(distinct(page.frame).height for page in pages)


def distinct(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows without those whose natural key an earlier one has. As a rule none has: their hashes prove it sooner."""
    if rows.select(NATURAL_KEY).hash_rows().n_unique() == rows.height:
        return rows
    return rows.unique(subset=NATURAL_KEY, keep="first", maintain_order=True)
