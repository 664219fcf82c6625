"""Rules for all formats: how long a text may be, which reason a line gets, and how many rejects are too many.

Lines are a frame with a column `reason`, null where the line is a row, and `line` and `part`, which say where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.finra.calendar import PartitionKey, read_day
from pipeline.finra.content import UnreadablePayload
from pipeline.finra.rejects import RejectedLine, RejectReason
from pipeline.finra.rows import SCHEMA, SHARES, places

MAX_SYMBOL = 40
MAX_NAME = 400
MAX_MPID = 10
MAX_CRD = 12
MAX_PRODUCT_TYPE = 40
MAX_SHARES_DIGITS = 12  # in front of the point: DECIMAL(18,6)
MAX_SHARES_PLACES = 6
MAX_TRADES_DIGITS = 12  # so that the sum over any payload fits a bigint
LIMITS = {
    "symbol": MAX_SYMBOL,
    "issue_name": MAX_NAME,
    "mpid": MAX_MPID,
    "crd": MAX_CRD,
    "venue_name": MAX_NAME,
    "product_type": MAX_PRODUCT_TYPE,
}
QUANTITY = rf"^[0-9]+(\.[0-9]{{1,{MAX_SHARES_PLACES}}}0*)?$"
INTEGER = r"^[0-9]+$"
TOO_MANY_SHARES = rf"^0*[1-9][0-9]{{{MAX_SHARES_DIGITS}}}"
TOO_MANY_TRADES = rf"^0*[1-9][0-9]{{{MAX_TRADES_DIGITS}}}"
NEGATIVE = r"^-[0-9]+(\.[0-9]+)?$"
SHOWN_REJECTS = 5

REASON = "reason"
PLACE = "place"  # of a row in the order of the natural keys
REASONS = pl.Enum([reason.value for reason in RejectReason])
IS_ROW = pl.col(REASON).is_null()
Rule = tuple[RejectReason, pl.Expr]
ATS_RULES: list[Rule] = [(RejectReason.EMPTY_MPID, pl.col("mpid") == "")]
FIRM_RULES: list[Rule] = [
    (RejectReason.UNEXPECTED_MPID, pl.col("mpid") != ""),
    (RejectReason.EMPTY_FIRM, pl.col("venue_name") == ""),
]


def first_reason(rules: Sequence[Rule]) -> pl.Expr:
    """The reason of the first rule that holds, null where none does: a rule holds for the lines that do not fit."""
    return pl.coalesce([pl.when(misfit).then(_reason(reason)) for reason, misfit in rules]).alias(REASON)


def row_rules(dates: pl.Series, *, is_ats: bool) -> list[Rule]:
    """The rules for a row of any format, in columns of text: `dates` are its lastUpdateDates.

    An ATS is named by its MPID; a firm by its name, and it has no MPID.
    """
    shares, trades = pl.col("shares").str, pl.col("trades").str
    is_too_long = pl.any_horizontal([pl.col(column).str.len_chars() > most for column, most in LIMITS.items()])
    days = [text for text in dates.unique() if text is not None and read_day(text) is not None]
    return [
        *(ATS_RULES if is_ats else FIRM_RULES),
        (RejectReason.TOO_LONG, is_too_long),
        (RejectReason.NEGATIVE_SHARES, shares.contains(NEGATIVE)),
        (RejectReason.BAD_SHARES, ~shares.contains(QUANTITY)),
        (RejectReason.TOO_LARGE, shares.contains(TOO_MANY_SHARES)),
        (RejectReason.NEGATIVE_TRADES, trades.contains(NEGATIVE)),
        (RejectReason.BAD_TRADES, ~trades.contains(INTEGER)),
        (RejectReason.TOO_LARGE, trades.contains(TOO_MANY_TRADES)),
        (RejectReason.BAD_DATE, ~pl.col("last_update_date").is_in(days)),
    ]


def without_repeated(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines, in which a row has the reason DUPLICATE_KEY where an earlier one has its natural key.

    They have KEY's columns, with the venue's kind and name in the place of `firm`, and get PLACE.
    """
    placed = lines.with_columns(places(lines).alias(PLACE))
    is_repeated = IS_ROW & ~pl.when(IS_ROW).then(PLACE).is_first_distinct()
    return placed.with_columns(
        pl.when(is_repeated).then(_reason(RejectReason.DUPLICATE_KEY)).otherwise(REASON).alias(REASON)
    )


def rejects_of(rejected: pl.DataFrame) -> list[RejectedLine]:
    """The lines that are no rows. `text` is what they say."""
    lines = rejected.select("part", "line", REASON, "text").iter_rows()
    return [RejectedLine(part, line, RejectReason(reason), text) for part, line, reason, text in lines]


def rows_of(lines: pl.DataFrame, key: PartitionKey, notional: pl.Expr) -> pl.DataFrame:
    """The rows that lines without a reason are, typed, in canonical order: the columns of SCHEMA."""
    kept = lines.lazy().with_columns(notional.alias("notional")).filter(IS_ROW).sort(PLACE)
    typed = kept.with_columns(
        pl.lit(key.week_ending).alias("week_ending"),
        pl.lit(key.tier.value).alias("tier"),
        _number("shares", MAX_SHARES_DIGITS + len(".") + MAX_SHARES_PLACES, lines).cast(SHARES),
        _number("trades", MAX_TRADES_DIGITS, lines).cast(pl.Int64),
        pl.col("last_update_date").str.to_date("%Y-%m-%d"),
    )
    return typed.select(SCHEMA.names()).collect()


def _number(column: str, most: int, lines: pl.DataFrame) -> pl.Expr:
    """A number in at most `most` characters: of one that is longer, without the zeros that it begins and ends with."""
    number = pl.col(column)
    if lines.select((number.str.len_bytes() > most).any()).item():
        return pl.concat_str(pl.lit("0"), number.str.strip_chars_start("0").str.slice(0, most)).alias(column)
    return number


def refuse_too_many(
    rejected: pl.DataFrame, lines: int, max_reject_share: float, *, uncounted: int = 0, elsewhere: int = 0
) -> None:
    """UnreadablePayload when more of the lines are rejected than the share (0-1) allows.

    `uncounted` rejects are no sign of another format. `elsewhere` ones belong in another part, and are no lines of this one.
    """
    number = rejected.height - uncounted - elsewhere
    if number <= (lines - elsewhere) * max_reject_share:
        return
    shown = rejected.head(SHOWN_REJECTS).select("line", REASON).iter_rows()
    first = "; ".join(f"line {line} {reason}" for line, reason in shown)
    share = f"{max_reject_share * 100:g}%"
    raise UnreadablePayload(f"{number:,} of {lines:,} rows were rejected, more than {share} allows: {first}")


def _reason(reason: RejectReason) -> pl.Expr:
    return pl.lit(reason.value, REASONS)
