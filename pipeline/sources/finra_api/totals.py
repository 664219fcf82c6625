"""Whether firm rows add up to FINRA's own totals: a symbol's `*_SMBL_FIRM` rows to its `*_SMBL` row (finra.md, "Rows")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

from pipeline.sources.finra_api.pages import SHARES, SYMBOL, TRADES, TYPE, UPDATED, JsonRow, SummaryType, distinct

SHOWN = 10
LEAST_DIFFERENCE = 1  # of shares: FINRA's totals are doubles, whose last places are not theirs (finra.md, "Rows")
MOST = 10**15  # shares: a thousand times what all US stocks trade in a week
MOST_TRADES = 10**12  # so that the sum over any payload fits a bigint
# A figure beside the rows is kept as it is, and fails nothing: exact to more places than a double has, rounded beyond.
PLACES = 20
EXACTLY = Context(prec=100)
TYPES = {summary_type.value: summary_type for summary_type in SummaryType}


@dataclass(slots=True)
class Sum:
    """Shares and trades of one symbol, ATS or non-ATS."""

    shares: Decimal = Decimal(0)
    trades: int = 0

    def agrees_with(self, total: Sum) -> bool:
        """Whether both are the same volume: trades exactly, shares to less than one."""
        return self.trades == total.trades and abs(self.shares - total.shares) < LEAST_DIFFERENCE

    @property
    def figures(self) -> tuple[Decimal, int]:
        """Both."""
        return self.shares, self.trades


@dataclass(frozen=True, slots=True)
class Unequal:
    """A symbol whose firm rows do not add up to its total."""

    symbol: str
    is_ats: bool
    shares: Decimal
    trades: int
    total_shares: Decimal
    total_trades: int

    def __str__(self) -> str:
        family = "ATS" if self.is_ats else "non-ATS"
        return (
            f"{self.symbol or '(no symbol)'} {family}: firms {self.shares:,f} shares / {self.trades:,} trades, "
            f"total {self.total_shares:,f} / {self.total_trades:,}"
        )


@dataclass(frozen=True, slots=True)
class ControlTotals:
    """FINRA's totals of a partition over all symbols, and where firm rows differ from them: the largest differences."""

    symbols: int
    shares: Decimal
    trades: int
    differing: int
    largest: tuple[Unequal, ...]


@dataclass(slots=True)
class Listing:
    """How a partition stood at FINRA when it was read: what it is held to when it is asked whether it moved.

    Over the cuts that are read (`SummaryType`), rejected rows included, as FINRA counts them.
    """

    rows: int = 0
    updates: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Iterable[JsonRow]) -> None:
        """Add the rows of a page."""
        listed = [row for row in rows if str(row[TYPE]) in TYPES]
        self.rows += len(listed)
        self.updates.update(str(row[UPDATED]) for row in listed if row[UPDATED] is not None)


@dataclass(slots=True)
class Reconciliation:
    """Adds up rows as their pages come. Symbols are compared by their text alone: FINRA's totals may be less fine."""

    _firms: dict[tuple[bool, str], Sum] = field(default_factory=dict)
    _symbols: dict[tuple[bool, str], Sum] = field(default_factory=dict)
    symbol_rows: int = 0

    def add(self, rows: Sequence[JsonRow]) -> None:
        """Add the rows of a reply; cuts that are neither are the same volume again, and are passed over.

        A row that comes twice within the reply counts once, as it is kept once.
        """
        for row in distinct(rows):
            summary_type = TYPES.get(str(row[TYPE]))
            if summary_type is None:
                continue
            sums = self._firms if summary_type.has_firms else self._symbols
            known = sums.setdefault((summary_type.is_ats, str(row[SYMBOL] or "")), Sum())
            known.shares = EXACTLY.add(known.shares, _number(row[SHARES], MOST))
            known.trades += int(_number(row[TRADES], MOST_TRADES))
            self.symbol_rows += not summary_type.has_firms

    def has_firms(self, is_ats: bool) -> bool:
        """Whether a family has firm rows at all."""
        return any(known_is_ats is is_ats for known_is_ats, _ in self._firms)

    def totals(self) -> ControlTotals:
        """FINRA's totals, and the differences."""
        unequal = [
            Unequal(symbol, is_ats, *firms.figures, *total.figures)
            for is_ats, symbol in sorted(self._firms.keys() | self._symbols.keys())
            for firms, total in [self._of(is_ats, symbol)]
            if not firms.agrees_with(total)
        ]
        largest = sorted(unequal, key=lambda one: -abs(one.shares - one.total_shares))[:SHOWN]
        return ControlTotals(
            symbols=self.symbol_rows,
            shares=_rounded(self._symbols.values()),
            trades=sum(one.trades for one in self._symbols.values()),
            differing=len(unequal),
            largest=tuple(largest),
        )

    def _of(self, is_ats: bool, symbol: str) -> tuple[Sum, Sum]:
        return self._firms.get((is_ats, symbol), Sum()), self._symbols.get((is_ats, symbol), Sum())


def _rounded(sums: Iterable[Sum]) -> Decimal:
    """All shares, to as many places as are kept."""
    total = Decimal(0)
    for one in sums:
        total = EXACTLY.add(total, one.shares)
    kept = EXACTLY.quantize(total, Decimal(1).scaleb(-PLACES))
    return kept.normalize(EXACTLY)


def _number(value: Any, most: int) -> Decimal:
    """A quantity as it adds up; any other value (null, text, negative, absurd) counts as 0, and shows as a difference."""
    fits = type(value) in (int, Decimal) and 0 <= value < most
    return Decimal(value) if fits else Decimal(0)
