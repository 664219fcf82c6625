"""The JSON pages of FINRA's API (finra.md, "API"): rows by symbol and firm, and FINRA's own totals by symbol beside them.

A line of this format is a row of a cut, numbered from 1 over the cut's pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import polars as pl

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.content import Content, UnreadablePayload, content_of
from pipeline.finra.formats.api_lines import FIRM_CUTS, number_of
from pipeline.finra.formats.rules import IS_ROW, refuse_too_many, rejects_of, rows_of, without_repeated
from pipeline.finra.sources.api.all_rows import AllRows, QueryRows, own_categories
from pipeline.finra.sources.api.decoding import NotRows, Rows, read_rows, texts_of
from pipeline.finra.sources.api.pages import unpack_pages
from pipeline.finra.sources.base import MOST_ROWS, too_many_rows


def read(content: bytes, key: PartitionKey, max_reject_share: float, max_rows: int = MOST_ROWS) -> Content:
    """Read a payload of pages.

    Raises UnreadablePayload for what is not FINRA's rows, has more than `max_rows` of them by firm (as soon as that is
    certain), or has more than `max_reject_share` (0-1) of these rejected.
    """
    pages = _checked(map(_decoded, unpack_pages(content)), max_rows)
    rows = AllRows.of([QueryRows.of(pages, own_categories())])
    return read_decoded(rows, lambda: content, key, max_reject_share, max_rows)


def read_decoded(
    rows: AllRows, content: Callable[[], bytes], key: PartitionKey, max_reject_share: float, max_rows: int = MOST_ROWS
) -> Content:
    """As `read`, of pages that their source decoded when they came. `content` is the payload, for the texts of rejects."""
    if rows.lines.height > max_rows:
        raise UnreadablePayload(f"the payload has {too_many_rows(max_rows)}")
    lines = without_repeated(rows.lines)
    rejected = lines.filter(~IS_ROW)
    refuse_too_many(rejected, lines.height, max_reject_share)
    return content_of(
        rows_of(lines, key, pl.col("notional")),
        rejects_of(_with_texts(rejected, content)),
        controls=rows.controls,
        oddities=rows.oddities,
        listing=rows.listing,
    )


def _decoded(body: bytes) -> Rows:
    try:
        return read_rows(body)
    except NotRows as error:
        raise UnreadablePayload(f"the pages are not FINRA's rows: {error}") from error


def _checked(pages: Iterable[Rows], max_rows: int) -> Sequence[Rows]:
    """The pages, none of whose rows lack a field, and no more rows than may be. No pages are a page without rows."""
    checked, number = [], 0
    for page in pages:
        if page.missing:
            raise UnreadablePayload(f"the pages are not FINRA's rows: they lack {', '.join(sorted(page.missing))}")
        number += sum(number_of(page, cut) for cut in FIRM_CUTS)
        if number > max_rows:
            raise UnreadablePayload(f"the payload has {too_many_rows(max_rows)}")
        checked.append(page)
    return checked or [read_rows(b"[]")]


def _with_texts(rejected: pl.DataFrame, content: Callable[[], bytes]) -> pl.DataFrame:
    """The lines that are no rows, with their text as FINRA wrote it."""
    pages = set(rejected["page"])
    bodies = enumerate(unpack_pages(content()) if pages else ())
    texts = {page: texts_of(body) for page, body in bodies if page in pages}
    found = [texts[page][at] for page, at in rejected.select("page", "at").iter_rows()]
    return rejected.with_columns(pl.Series("text", found, dtype=pl.String))
