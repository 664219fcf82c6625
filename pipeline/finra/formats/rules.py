"""What the formats share: how long a text may be, how rules give a line its reason, and which rejects are too many.

Lines are a frame with a column `reason`, null where the line is a row, and `line` and `part`, which say where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.finra.content import UnreadablePayload
from pipeline.finra.rejects import RejectedLine, RejectReason
from pipeline.finra.rows import FIRM, KEY

MAX_SYMBOL = 40
MAX_NAME = 400
MAX_MPID = 10
MAX_SHARES_DIGITS = 12  # in front of the point: DECIMAL(18,6)
MAX_SHARES_PLACES = 6
MAX_TRADES_DIGITS = 12  # so that the sum over any payload fits a bigint
SHOWN_REJECTS = 5

REASON = "reason"
REASONS = pl.Enum([reason.value for reason in RejectReason])
IS_ROW = pl.col(REASON).is_null()
Rule = tuple[RejectReason, pl.Expr]


def first_reason(rules: Sequence[Rule]) -> pl.Expr:
    """The reason of the first rule that holds, null where none does: a rule holds for the lines that do not fit."""
    return pl.coalesce([pl.when(misfit).then(_reason(reason)) for reason, misfit in rules]).alias(REASON)


def longer_than(limits: dict[str, int]) -> pl.Expr:
    """Whether one of the columns has more characters than it may."""
    return pl.any_horizontal([pl.col(column).str.len_chars() > most for column, most in limits.items()])


def reason_or_repeated() -> pl.Expr:
    """The reason, which is DUPLICATE_KEY for a row whose natural key an earlier row of the frame has.

    The frame has KEY's columns, with the venue's kind and name in the place of `firm`; no text of a row holds a pipe.
    """
    key = pl.concat_str([FIRM if column == "firm" else pl.col(column) for column in KEY], separator="|")
    is_repeated = IS_ROW & ~pl.when(IS_ROW).then(key).is_first_distinct()
    return pl.when(is_repeated).then(_reason(RejectReason.DUPLICATE_KEY)).otherwise(REASON).alias(REASON)


def rejects_of(lines: pl.DataFrame) -> list[RejectedLine]:
    """The lines that are no rows. `text` is what they say."""
    rejected = lines.filter(~IS_ROW).select("part", "line", REASON, "text")
    return [RejectedLine(part, line, RejectReason(reason), text) for part, line, reason, text in rejected.iter_rows()]


def refuse_too_many(lines: pl.DataFrame, max_reject_share: float, *, uncounted: int = 0, elsewhere: int = 0) -> None:
    """UnreadablePayload when more of the lines are rejected than the share (0-1) allows.

    `uncounted` rejects are no sign of another format. `elsewhere` ones belong in another part, and are no lines of this one.
    """
    rejected = lines.filter(~IS_ROW)
    number = rejected.height - uncounted - elsewhere
    if number <= (lines.height - elsewhere) * max_reject_share:
        return
    shown = rejected.head(SHOWN_REJECTS).select("line", REASON).iter_rows()
    first = "; ".join(f"line {line} {reason}" for line, reason in shown)
    share = f"{max_reject_share * 100:g}%"
    raise UnreadablePayload(f"{number:,} of {lines.height:,} rows were rejected, more than {share} allows: {first}")


def _reason(reason: RejectReason) -> pl.Expr:
    return pl.lit(reason.value, REASONS)
