"""The JSON pages of FINRA's API (finra.md, "API"): rows by symbol and firm, and FINRA's own totals by symbol beside them.

Quantities must be JSON numbers, and stay exact: they are never floats. A line of this format is a row of a cut, numbered
from 1 over the cut's pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.content import Content, UnreadablePayload, content_of
from pipeline.finra.formats.rules import (
    IS_ROW,
    Rule,
    first_reason,
    refuse_too_many,
    rejects_of,
    row_rules,
    rows_of,
    without_repeated,
)
from pipeline.finra.rejects import RejectReason
from pipeline.finra.rows import ATS, NON_ATS
from pipeline.finra.sources.api.control_totals import control_totals, listing_of
from pipeline.finra.sources.api.decoding import NotRows, Rows, distinct, read_rows, texts_of
from pipeline.finra.sources.api.fields import SummaryType
from pipeline.finra.sources.api.oddities import dollars, oddities_of
from pipeline.finra.sources.api.pages import unpack_pages
from pipeline.finra.sources.base import MOST_ROWS, too_many_rows

# What would end a field or a line of canonical text, and what PostgreSQL stores in no text.
UNFIT = r"[\x00-\x1f\x7f|]"
TEXTS = ("symbol", "issue_name", "mpid", "crd", "venue_name", "product_type")
FIRM_CUTS = (SummaryType.ATS_FIRMS, SummaryType.NON_ATS_FIRMS)
WHOLE_CRD = r"^([0-9]+)\.0$"  # a number that went through a double


def read(
    content: bytes,
    key: PartitionKey,
    max_reject_share: float,
    max_rows: int = MOST_ROWS,
    decoded: Sequence[Rows] = (),
) -> Content:
    """Read a payload of pages, `decoded` where the source did that when they came.

    Raises UnreadablePayload for what is not FINRA's rows, has more than `max_rows` of them by firm (as soon as that is
    certain), or has more than `max_reject_share` (0-1) of these rejected.
    """
    pages = _checked(decoded or map(_decoded, unpack_pages(content)), max_rows)
    numbered = [page.frame.with_columns(page=pl.lit(at)) for at, page in enumerate(pages)]
    rows = pl.concat(numbered or [_no_rows()], rechunk=True)
    lines = without_repeated(_told_apart(pl.concat([_lines(rows, cut) for cut in FIRM_CUTS])))
    rejected = lines.filter(~IS_ROW)
    refuse_too_many(rejected, lines.height, max_reject_share)
    return content_of(
        rows_of(lines, key, dollars()),
        rejects_of(_with_texts(rejected, content)),
        controls=control_totals(distinct(rows)),
        oddities=oddities_of(rows, frozenset().union(*(page.unknown for page in pages))),
        listing=listing_of(rows),
    )


def _decoded(body: bytes) -> Rows:
    try:
        return read_rows(body)
    except NotRows as error:
        raise UnreadablePayload(f"the pages are not FINRA's rows: {error}") from error


def _checked(pages: Iterable[Rows], max_rows: int) -> list[Rows]:
    """The pages, none of whose rows lack a field, and no more rows than may be."""
    checked, number = [], 0
    for page in pages:
        if page.missing:
            raise UnreadablePayload(f"the pages are not FINRA's rows: they lack {', '.join(sorted(page.missing))}")
        number += int(page.frame["cut"].is_in(FIRM_CUTS).sum())
        if number > max_rows:
            raise UnreadablePayload(f"the payload has {too_many_rows(max_rows)}")
        checked.append(page)
    return checked


def _no_rows() -> pl.DataFrame:
    return read_rows(b"[]").frame.with_columns(page=pl.lit(0))


def _lines(rows: pl.DataFrame, cut: SummaryType) -> pl.DataFrame:
    """The rows of a cut with their numbers, and the reason of each that fits nowhere."""
    lines = rows.with_columns(at=pl.int_range(pl.len()).over("page")).filter(pl.col("cut") == cut.value)
    lines = lines.with_row_index("line", offset=1).with_columns(
        pl.lit(cut.value).alias("part"),
        pl.lit(ATS if cut.is_ats else NON_ATS).alias("venue_kind"),
        pl.col("crd").str.replace(WHOLE_CRD, "${1}"),
    )
    return lines.with_columns(first_reason(_rules(lines, cut)))


def _rules(lines: pl.DataFrame, cut: SummaryType) -> list[Rule]:
    is_unfit = pl.any_horizontal(pl.col(TEXTS).str.contains(UNFIT))
    return [(RejectReason.BAD_CHARACTER, is_unfit), *row_rules(lines["last_update_date"], is_ats=cut.is_ats)]


def _told_apart(lines: pl.DataFrame) -> pl.DataFrame:
    """The CRD number only where it tells an ATS row from another under the same MPID, and for firms (finra.md, "Rows").

    The rows under the lowest of an MPID's numbers keep the MPID alone, as every other ATS row does: the order of the rows
    does not matter.
    """
    is_ats = IS_ROW & (pl.col("venue_kind") == ATS)
    lowest = pl.when(is_ats & (pl.col("crd") != "")).then("crd").min().over("mpid")
    is_alone = is_ats & (pl.col("crd") == lowest)
    return lines.with_columns(pl.when(is_alone).then(pl.lit("")).otherwise("crd").alias("crd"))


def _with_texts(rejected: pl.DataFrame, content: bytes) -> pl.DataFrame:
    """The lines that are no rows, with their text as FINRA wrote it."""
    pages = set(rejected["page"])
    bodies = enumerate(unpack_pages(content) if pages else ())
    texts = {page: texts_of(body) for page, body in bodies if page in pages}
    found = [texts[page][at] for page, at in rejected.select("page", "at").iter_rows()]
    return rejected.with_columns(pl.Series("text", found, dtype=pl.String))
