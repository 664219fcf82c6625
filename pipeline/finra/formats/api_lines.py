"""The lines of FINRA's pages: rows of a cut by symbol and firm, each with its number, and the reason where it fits nowhere.

Quantities must be JSON numbers, and stay exact: they are never floats.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.finra.formats.rules import IS_ROW, Rule, first_reason, row_rules
from pipeline.finra.rejects import RejectReason
from pipeline.finra.rows import ATS, NON_ATS, OF_VENUE, VENUE
from pipeline.finra.sources.api.decoding import Rows, read_rows
from pipeline.finra.sources.api.fields import SummaryType

# What would end a field or a line of canonical text, and what PostgreSQL stores in no text.
UNFIT = r"[\x00-\x1f\x7f|]"
TEXTS = ("symbol", "issue_name", "mpid", "crd", "venue_name", "product_type")
FIELDS = (*TEXTS, "shares", "trades", "notional", "last_update_date")
CATEGORIES = (*TEXTS, "last_update_date")
FIRM_CUTS = (SummaryType.ATS_FIRMS, SummaryType.NON_ATS_FIRMS)
WHOLE_CRD = r"^([0-9]+)\.0$"  # a number that went through a double


def number_of(page: Rows, cut: SummaryType) -> int:
    """How many of a page's rows are of a cut."""
    return int((page.frame["cut"] == cut.value).sum())


def no_lines() -> pl.DataFrame:
    """No lines, in the columns that they have."""
    return lines_of([read_rows(b"[]")], SummaryType.ATS_FIRMS, pl.Categorical())


def lines_of(pages: Sequence[Rows], cut: SummaryType, texts: pl.Categorical) -> pl.DataFrame:
    """The lines of a cut over all of its pages; `page` and `at` say in which of these pages one stands, and where.

    Columns in which few of the texts are different are categories, `texts`.
    """
    of_cut = [_of_cut(page, at, cut) for at, page in enumerate(pages) if number_of(page, cut)]
    lines = pl.concat(of_cut or [_of_cut(pages[0], 0, cut)]).with_columns(pl.col(CATEGORIES).cast(texts))
    lines = lines.with_row_index("line", offset=1).with_columns(
        pl.lit(cut.value).alias("part"),
        pl.lit(ATS if cut.is_ats else NON_ATS).cast(texts).alias("venue_kind"),
        _crd_numbers(lines["crd"]),
    )
    judged = lines.with_columns(first_reason(_rules(lines, cut)))
    told_apart = _told_apart(judged) if cut.is_ats else judged
    return told_apart.with_columns(pl.concat_str(*OF_VENUE, separator="|").cast(texts).alias(VENUE))


def _of_cut(page: Rows, at: int, cut: SummaryType) -> pl.DataFrame:
    placed = page.frame.select("cut", *FIELDS, pl.lit(at).alias("page"), pl.int_range(pl.len()).alias("at"))
    return placed if number_of(page, cut) == len(page) else placed.filter(pl.col("cut") == cut.value)


def _crd_numbers(crds: pl.Series) -> pl.Series:
    """The CRD numbers as integers are written. Few are different, as a rule, and all of them are."""
    written = crds.unique().cast(pl.String)
    whole = written.str.replace(WHOLE_CRD, "${1}")
    return crds if (whole == written).all() else crds.replace_strict(written, whole, return_dtype=crds.dtype)


def _rules(lines: pl.DataFrame, cut: SummaryType) -> list[Rule]:
    unfit = {column: texts for column in TEXTS if (texts := _unfit(lines[column]))}
    is_unfit = [pl.col(column).is_in(texts) for column, texts in unfit.items()]
    bad_character = [(RejectReason.BAD_CHARACTER, pl.any_horizontal(is_unfit))] if unfit else []
    return [*bad_character, *row_rules(lines, is_ats=cut.is_ats)]


def _unfit(texts: pl.Series) -> list[str]:
    """The texts with a character that may not be. Each of the different ones is looked at once."""
    different = texts.unique().cast(pl.String)
    return different.filter(different.str.contains(UNFIT)).to_list()


def _told_apart(lines: pl.DataFrame) -> pl.DataFrame:
    """The CRD number only where it tells an ATS row from another under the same MPID (finra.md, "Rows").

    The rows under the lowest of an MPID's numbers keep the MPID alone, as every other ATS row does: the order of the rows
    does not matter.
    """
    texts = lines["crd"].dtype
    numbers = lines.lazy().filter(IS_ROW & (pl.col("crd") != "")).select("mpid", "crd").unique()
    lowest = numbers.group_by("mpid").agg(pl.col("crd").cast(pl.String).min().cast(texts)).collect()
    is_lowest = pl.col("crd") == pl.col("mpid").replace_strict(lowest["mpid"], lowest["crd"], default=None)
    return lines.with_columns(pl.when(IS_ROW & is_lowest).then(pl.lit("").cast(texts)).otherwise("crd").alias("crd"))
