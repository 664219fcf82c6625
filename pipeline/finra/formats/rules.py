"""Rules for all formats: how long a text may be, which reason a line gets, and how many rejects are too many.

Lines are a frame with a column `reason`, null where the line is a row, and `line` and `part`, which say where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.finra.calendar import PartitionKey, read_day
from pipeline.finra.content import UnreadablePayload
from pipeline.finra.rejects import RejectedLine, RejectReason
from pipeline.finra.rows import PLACE, SCHEMA, SECURITY, SHARES, VENUE, with_keys

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
REASONS = pl.Enum([reason.value for reason in RejectReason])
IS_ROW = pl.col(REASON).is_null()
Rule = tuple[RejectReason, pl.Expr]
ATS_RULES: list[Rule] = [(RejectReason.EMPTY_MPID, pl.col("mpid") == "")]
FIRM_RULES: list[Rule] = [
    (RejectReason.UNEXPECTED_MPID, pl.col("mpid") != ""),
    (RejectReason.EMPTY_FIRM, pl.col("venue_name") == ""),
]
SHARES_RULES: list[Rule] = [
    (RejectReason.NEGATIVE_SHARES, pl.col("shares").str.contains(NEGATIVE)),
    (RejectReason.BAD_SHARES, ~pl.col("shares").str.contains(QUANTITY)),
    (RejectReason.TOO_LARGE, pl.col("shares").str.contains(TOO_MANY_SHARES)),
]
TRADES_RULES: list[Rule] = [
    (RejectReason.NEGATIVE_TRADES, pl.col("trades").str.contains(NEGATIVE)),
    (RejectReason.BAD_TRADES, ~pl.col("trades").str.contains(INTEGER)),
    (RejectReason.TOO_LARGE, pl.col("trades").str.contains(TOO_MANY_TRADES)),
]


def first_reason(rules: Sequence[Rule]) -> pl.Expr:
    """The reason of the first rule that holds, null where none does: a rule holds for the lines that do not fit."""
    return pl.coalesce([pl.when(misfit).then(_reason(reason)) for reason, misfit in rules]).alias(REASON)


def row_rules(lines: pl.DataFrame, *, is_ats: bool) -> list[Rule]:
    """The rules for rows of any format, in columns of text or of categories, but those that hold for none of these lines.

    An ATS is named by its MPID; a firm by its name, and it has no MPID.
    """
    days = [text for text in lines["last_update_date"].unique() if text is not None and read_day(text) is not None]
    return [
        *(ATS_RULES if is_ats else FIRM_RULES),
        *_length_rules(lines),
        *(() if _all_fit(lines["shares"], MAX_SHARES_DIGITS, QUANTITY, TOO_MANY_SHARES) else SHARES_RULES),
        *(() if _all_fit(lines["trades"], MAX_TRADES_DIGITS, INTEGER, TOO_MANY_TRADES) else TRADES_RULES),
        (RejectReason.BAD_DATE, ~pl.col("last_update_date").is_in(days)),
    ]


def _all_fit(numbers: pl.Series, most_digits: int, fitting: str, too_many: str) -> bool:
    """Whether all are numbers, and none is too large: two looks, where the rules would take three.

    What polars takes for an integer is a whole number, unless a sign stands before it, and is not looked at.
    """
    whole = numbers.cast(pl.Int64, strict=False).is_between(0, 10**most_digits, closed="left") & (numbers >= "0")
    others = numbers.filter(~whole.fill_null(value=False))
    return bool(others.str.contains(fitting).all()) and not others.str.contains(too_many).any()


def _longer(texts: pl.Series, most: int) -> bool:
    """Whether any text has more bytes: none with as many or fewer has more characters."""
    lengths = texts.cat.len_bytes() if isinstance(texts.dtype, pl.Categorical) else texts.str.len_bytes()
    return bool((lengths > most).any())


def _length_rules(lines: pl.DataFrame) -> list[Rule]:
    doubtful = {column: most for column, most in LIMITS.items() if _longer(lines[column], most)}
    is_too_long = [pl.col(column).cast(pl.String).str.len_chars() > most for column, most in doubtful.items()]
    return [(RejectReason.TOO_LONG, pl.any_horizontal(is_too_long))] if doubtful else []


def without_repeated(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines, in which a row has the reason DUPLICATE_KEY where an earlier one has its natural key.

    They have KEY's columns, with the venue's kind and name in the place of `firm`, and get the halves of the key.
    """
    is_repeated = IS_ROW & ~pl.when(IS_ROW).then(PLACE).is_first_distinct()
    return with_keys(lines).with_columns(
        pl.when(is_repeated).then(_reason(RejectReason.DUPLICATE_KEY)).otherwise(REASON).alias(REASON)
    )


def rejects_of(rejected: pl.DataFrame) -> list[RejectedLine]:
    """The lines that are no rows. `text` is what they say."""
    lines = rejected.select("part", "line", REASON, "text").iter_rows()
    return [RejectedLine(part, line, RejectReason(reason), text) for part, line, reason, text in lines]


def rows_of(lines: pl.DataFrame, key: PartitionKey, notional: pl.Expr) -> pl.DataFrame:
    """The rows that lines without a reason are, typed, in canonical order: the columns of SCHEMA, and their keys' halves."""
    kept = lines if lines[REASON].null_count() == lines.height else lines.filter(IS_ROW)
    days = {text: read_day(text) for text in kept["last_update_date"].unique()}
    typed = kept.with_columns(
        pl.lit(key.week_ending).alias("week_ending"),
        pl.lit(key.tier.value).alias("tier"),
        notional.alias("notional"),
        _number("shares", MAX_SHARES_DIGITS + len(".") + MAX_SHARES_PLACES, kept).cast(SHARES),
        _number("trades", MAX_TRADES_DIGITS, kept).cast(pl.Int64),
        pl.col("last_update_date").replace_strict(days).cast(pl.Date),  # of no days it replaces no type either
    )
    order = kept.select(PLACE).to_series().arg_sort()
    return typed.select(*SCHEMA.names(), SECURITY, VENUE)[order]


def _number(column: str, most: int, lines: pl.DataFrame) -> pl.Expr:
    """A number in at most `most` characters: of one that is longer, without the zeros that it begins and ends with."""
    number = pl.col(column)
    if _longer(lines[column], most):
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
