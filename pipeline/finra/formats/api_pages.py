"""The JSON pages of FINRA's API (finra.md, "API"): rows by symbol and firm, and FINRA's own totals by symbol beside them.

Quantities must be JSON numbers, and stay exact: they are never floats. A line of this format is a row of a cut, numbered
from 1 over the cut's pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

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
from pipeline.finra.sources.api.all_rows import AllRows
from pipeline.finra.sources.api.decoding import NotRows, Rows, read_rows, texts_of
from pipeline.finra.sources.api.fields import SummaryType
from pipeline.finra.sources.api.oddities import dollars
from pipeline.finra.sources.api.pages import unpack_pages
from pipeline.finra.sources.base import MOST_ROWS, too_many_rows

# What would end a field or a line of canonical text, and what PostgreSQL stores in no text.
UNFIT = r"[\x00-\x1f\x7f|]"
TEXTS = ("symbol", "issue_name", "mpid", "crd", "venue_name", "product_type")
FIELDS = (*TEXTS, "shares", "trades", "notional", "last_update_date")
FIRM_CUTS = (SummaryType.ATS_FIRMS, SummaryType.NON_ATS_FIRMS)
WHOLE_CRD = r"^([0-9]+)\.0$"  # a number that went through a double


def read(
    content: bytes,
    key: PartitionKey,
    max_reject_share: float,
    max_rows: int = MOST_ROWS,
    decoded: AllRows | None = None,
) -> Content:
    """Read a payload of pages, `decoded` where the source did that when they came.

    Raises UnreadablePayload for what is not FINRA's rows, has more than `max_rows` of them by firm (as soon as that is
    certain), or has more than `max_reject_share` (0-1) of these rejected.
    """
    pages = _checked(decoded.pages if decoded else map(_decoded, unpack_pages(content)), max_rows)
    rows = decoded or AllRows.of(pages)
    with ThreadPoolExecutor(len(FIRM_CUTS)) as executor:
        lines = pl.concat(executor.map(partial(_lines, pages), FIRM_CUTS))
    lines = without_repeated(_told_apart(lines))
    rejected = lines.filter(~IS_ROW)
    refuse_too_many(rejected, lines.height, max_reject_share)
    return content_of(
        rows_of(lines, key, dollars()),
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
        number += sum(_number(page, cut) for cut in FIRM_CUTS)
        if number > max_rows:
            raise UnreadablePayload(f"the payload has {too_many_rows(max_rows)}")
        checked.append(page)
    return checked or [read_rows(b"[]")]


def _lines(pages: Sequence[Rows], cut: SummaryType) -> pl.DataFrame:
    """The rows of a cut with their numbers, and the reason of each that fits nowhere."""
    of_cut = [_of_cut(page, at, cut) for at, page in enumerate(pages) if _number(page, cut)]
    lines = pl.concat(of_cut or [_of_cut(pages[0], 0, cut)], rechunk=True)
    lines = lines.with_row_index("line", offset=1).with_columns(
        pl.lit(cut.value).alias("part"),
        pl.lit(ATS if cut.is_ats else NON_ATS).alias("venue_kind"),
        _crd_numbers(lines["crd"]),
    )
    return lines.with_columns(first_reason(_rules(lines, cut)))


def _number(page: Rows, cut: SummaryType) -> int:
    """How many of a page's rows are of a cut."""
    return int((page.frame["cut"] == cut.value).sum())


def _of_cut(page: Rows, at: int, cut: SummaryType) -> pl.DataFrame:
    """A page's rows of a cut; `page` and `at` say which page it is, and where they stand in it."""
    placed = page.frame.select("cut", *FIELDS, pl.lit(at).alias("page"), pl.int_range(pl.len()).alias("at"))
    return placed if _number(page, cut) == len(page) else placed.filter(pl.col("cut") == cut.value)


def _crd_numbers(crds: pl.Series) -> pl.Series:
    """The CRD numbers as integers are written. Few are different, as a rule, and all of them are."""
    written = crds.unique()
    whole = written.str.replace(WHOLE_CRD, "${1}")
    return crds if (whole == written).all() else crds.replace_strict(written, whole)


def _rules(lines: pl.DataFrame, cut: SummaryType) -> list[Rule]:
    unfit = {column: texts for column in TEXTS if (texts := _unfit(lines[column]))}
    is_unfit = [pl.col(column).is_in(texts) for column, texts in unfit.items()]
    bad_character = [(RejectReason.BAD_CHARACTER, pl.any_horizontal(is_unfit))] if unfit else []
    return [*bad_character, *row_rules(lines, is_ats=cut.is_ats)]


def _unfit(texts: pl.Series) -> list[str]:
    """The texts with a character that may not be. Each of the different ones is looked at once."""
    different = texts.unique()
    return different.filter(different.str.contains(UNFIT)).to_list()


def _told_apart(lines: pl.DataFrame) -> pl.DataFrame:
    """The CRD number only where it tells an ATS row from another under the same MPID, and for firms (finra.md, "Rows").

    The rows under the lowest of an MPID's numbers keep the MPID alone, as every other ATS row does: the order of the rows
    does not matter.
    """
    is_ats = IS_ROW & (pl.col("venue_kind") == ATS)
    numbers = lines.lazy().filter(is_ats & (pl.col("crd") != "")).select("mpid", "crd").unique()
    lowest = numbers.group_by("mpid").agg(pl.col("crd").min()).collect()
    is_alone = is_ats & (pl.col("crd") == pl.col("mpid").replace_strict(lowest["mpid"], lowest["crd"], default=None))
    return lines.with_columns(pl.when(is_alone).then(pl.lit("")).otherwise("crd").alias("crd"))


def _with_texts(rejected: pl.DataFrame, content: bytes) -> pl.DataFrame:
    """The lines that are no rows, with their text as FINRA wrote it."""
    pages = set(rejected["page"])
    bodies = enumerate(unpack_pages(content) if pages else ())
    texts = {page: texts_of(body) for page, body in bodies if page in pages}
    found = [texts[page][at] for page, at in rejected.select("page", "at").iter_rows()]
    return rejected.with_columns(pl.Series("text", found, dtype=pl.String))
