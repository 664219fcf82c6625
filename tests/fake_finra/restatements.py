"""Restatements at virtual dates: what becomes of a partition's rows, when, and a schedule of them drawn from a seed.

FINRA restates rows in place, any day, sometimes long after; rows are added, changed, removed and return, and a revision
can be undone (finra.md, "Revisions").
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from pipeline.finra.calendar import PartitionKey, Tier, due_date
from tests.fake_finra.rows import FirmRow, FirmRows

# What becomes of a partition: the vintages so far, oldest first, and the day of the restatement, to the next vintage.
Change = Callable[[Sequence[FirmRows], str], FirmRows]

TOUCHED = 0.0004  # of a partition's rows: 3 of about 167,600 had moved when a week was probed
LEAST = 3
NEAR = (1, 28)  # days after publication: a look-back of some weeks sees these
FAR = (60, 330)  # and never these


@dataclass(frozen=True, slots=True)
class Restatement:
    """From the day `on`, the partition reads otherwise."""

    key: PartitionKey
    on: date
    change: Change


def revise(symbol: str, venue: str, *, shares: Decimal | int | str, trades: int) -> Change:
    """Other figures for one symbol at one venue (an MPID, or a firm's name); its lastUpdateDate moves on."""

    def change(vintages: Sequence[FirmRows], day: str) -> FirmRows:
        return tuple(
            replace(row, shares=Decimal(shares), trades=trades, updated=day)
            if (row.symbol, row.venue) == (symbol, venue)
            else row
            for row in vintages[-1]
        )

    return change


def remove(symbol: str, venue: str) -> Change:
    """One row less; no lastUpdateDate says so."""

    def change(vintages: Sequence[FirmRows], day: str) -> FirmRows:
        return tuple(row for row in vintages[-1] if (row.symbol, row.venue) != (symbol, venue))

    return change


def add(*rows: FirmRow) -> Change:
    """Rows more, published that day."""

    def change(vintages: Sequence[FirmRows], day: str) -> FirmRows:
        return (*vintages[-1], *(replace(row, published=day, updated=day) for row in rows))

    return change


def undo(vintages: Sequence[FirmRows], day: str) -> FirmRows:
    """As before the last restatement, dates included."""
    return vintages[-2]


def redraw(seed: str) -> Change:
    """Some rows corrected by some per cent; now and then one goes, or a venue comes that had not reported a symbol."""

    def change(vintages: Sequence[FirmRows], day: str) -> FirmRows:
        rng, rows = random.Random(seed), list(vintages[-1])
        moved = rng.sample(range(len(rows)), min(len(rows), max(LEAST, round(len(rows) * TOUCHED))))
        for at in moved:
            rows[at] = _corrected(rng, rows[at], day)
        going = rng.choice([at for at in range(len(rows)) if at not in moved] or [None])
        if going is not None and rng.random() < 0.4:
            del rows[going]
        if rng.random() < 0.4:
            rows.extend(_another(rng, rows, day))
        return tuple(rows)

    return change


def drawn(keys: Iterable[PartitionKey], seed: int, *, near: float = 0.25, far: float = 0.08) -> list[Restatement]:
    """A share `near` of the partitions restated within four weeks of publication, `far` of them months later.

    Some of both are undone weeks after. Each partition is drawn by itself.
    """
    return [each for key in keys for each in _drawn(key, seed, near, far)]


def _drawn(key: PartitionKey, seed: int, near: float, far: float) -> Iterator[Restatement]:
    rng = random.Random(f"{seed}|restated|{key}")
    published = due_date(key.tier, key.week_ending)
    for share, days in ((near, NEAR), (far, FAR)):
        if rng.random() < share:
            on = published + timedelta(days=rng.randint(*days))
            yield Restatement(key, on, redraw(f"{seed}|{key}|{on}"))
            if rng.random() < 0.15:
                yield Restatement(key, on + timedelta(days=rng.randint(1, 25)), undo)


def _corrected(rng: random.Random, row: FirmRow, day: str) -> FirmRow:
    shares = row.shares + max(1, int(row.shares * rng.randint(1, 8) / 100))
    return replace(row, shares=shares, trades=row.trades + rng.randint(1, 40), updated=day)


def _another(rng: random.Random, rows: Sequence[FirmRow], day: str) -> Iterator[FirmRow]:
    """A row of a symbol at a venue that has none of it yet; nothing where the venue drawn has."""
    symbol, venue = rng.choice(rows), rng.choice(rows)
    known = {(row.is_ats, row.symbol, row.issue_name, row.venue) for row in rows}
    row = replace(
        venue, symbol=symbol.symbol, issue_name=symbol.issue_name, product_type=symbol.product_type, updated=day,
        shares=Decimal(rng.randint(1, 5_000)), trades=1, published=day,
        notional=None if venue.notional is None else Decimal(rng.randint(1_000, 900_000)) / 100,
    )  # fmt: skip
    if (row.is_ats, row.symbol, row.issue_name, row.venue) not in known:
        yield row


# The restatement that was recorded: TSLA in the week of 2021-11-01, read in December 2021 and again in January 2023.
# What is known is the symbol's total; that two venues share it is the service's choice.
RECORDED_KEY = PartitionKey(date(2021, 11, 5), Tier.NMS_TIER_1)
RECORDED_SYMBOL = "TSLA"
RECORDED_BEFORE = (Decimal(69_039_455), 1_812_409)
RECORDED_AFTER = (Decimal(69_091_783), 1_864_740)
_FIRST, _SECOND = (Decimal(40_000_000), 1_000_000), (Decimal(29_039_455), 812_409)


def _recorded_row(mpid: str, firm: str, crd: int, figures: tuple[Decimal, int]) -> FirmRow:
    published = due_date(RECORDED_KEY.tier, RECORDED_KEY.week_ending).isoformat()
    return FirmRow(
        is_ats=True, symbol=RECORDED_SYMBOL, issue_name="Tesla, Inc. Common Stock", product_type="UTP",
        mpid=mpid, crd=crd, firm=firm, shares=figures[0], trades=figures[1], notional=None,
        published=published, updated=published,
    )  # fmt: skip


RECORDED_ROWS = {
    RECORDED_KEY: (
        _recorded_row("UBSA", "UBS ATS", 7654, _FIRST),
        _recorded_row("SGMT", "SIGMA X2", 361, _SECOND),
    )
}
RECORDED = Restatement(
    RECORDED_KEY,
    date(2022, 7, 6),
    revise(
        RECORDED_SYMBOL,
        "UBSA",
        shares=RECORDED_AFTER[0] - _SECOND[0],
        trades=RECORDED_AFTER[1] - _SECOND[1],
    ),
)
