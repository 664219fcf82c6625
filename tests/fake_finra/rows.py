"""What a row of weeklySummary is, and the eight cuts of a week's volume (finra.md, "Rows" and "API").

A `FirmRow` is one symbol at one venue or firm; everything else FINRA publishes is a sum of those.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from pipeline.finra.calendar import PartitionKey, Tier, week_start_of

Value = str | int | Decimal | None
Row = tuple[Value, ...]

FIELDS = (
    "totalWeeklyShareQuantity",
    "issueSymbolIdentifier",
    "issueName",
    "lastUpdateDate",
    "lastReportedDate",
    "tierDescription",
    "initialPublishedDate",
    "tierIdentifier",
    "summaryStartDate",
    "totalNotionalSum",
    "totalWeeklyTradeCount",
    "weekStartDate",
    "MPID",
    "firmCRDNumber",
    "productTypeCode",
    "marketParticipantName",
    "summaryTypeCode",
)
AT = {field: position for position, field in enumerate(FIELDS)}
NUMBERS = frozenset({"totalWeeklyShareQuantity", "totalNotionalSum", "totalWeeklyTradeCount", "firmCRDNumber"})
DATES = frozenset({"lastUpdateDate", "lastReportedDate", "initialPublishedDate", "summaryStartDate", "weekStartDate"})

NO_TIER = "NA"  # market-wide rows, which belong to no partition of this project
CODES = {Tier.NMS_TIER_1: "T1", Tier.NMS_TIER_2: "T2", Tier.OTC: "OTCE"}
SUMMARY_TYPES = tuple(f"{family}_W_{cut}" for family in ("ATS", "OTC") for cut in ("SMBL_FIRM", "SMBL", "FIRM"))
MARKET_TYPES = ("ATS_W_VOL_STATS", "OTC_W_VOL_STATS")


@dataclass(frozen=True, slots=True)
class FirmRow:
    """One symbol at one venue (an ATS, with its MPID) or firm (without): the rows that all sums are made of.

    None where a sum runs over the field. `published` and `updated` are ISO dates.
    """

    is_ats: bool
    symbol: str | None
    issue_name: str | None
    product_type: str | None
    mpid: str | None
    crd: int | None
    firm: str | None
    shares: Decimal
    trades: int
    notional: Decimal | None
    published: str
    updated: str

    @property
    def venue(self) -> str | None:
        """What identifies the venue: the MPID of an ATS, the name of a firm."""
        return self.mpid or self.firm


FirmRows = tuple[FirmRow, ...]


def summary(key: PartitionKey, rows: FirmRows) -> tuple[Row, ...]:
    """All rows of weeklySummary for a partition: by symbol and firm, by symbol and by firm, ATS and non-ATS."""
    week, code = key.week_ending, CODES[key.tier]
    return tuple(
        _row(row, week, code, key.tier.description, f"{family}_W_{cut}")
        for family, is_ats in (("ATS", True), ("OTC", False))
        for cut, total in (("SMBL_FIRM", tuple), ("SMBL", _by_symbol), ("FIRM", _by_firm))
        for row in total([row for row in rows if row.is_ats is is_ats])
    )


def market(week: date, rows: FirmRows) -> tuple[Row, ...]:
    """The market-wide rows of a week, over all tiers."""
    return tuple(
        _row(total, week, NO_TIER, "Not Applicable", summary_type)
        for summary_type, is_ats in zip(MARKET_TYPES, (True, False), strict=True)
        for total in _totals(
            [row for row in rows if row.is_ats is is_ats], lambda _: 0, lambda row: _no_security(_no_venue(row))
        )
    )


def _by_symbol(rows: list[FirmRow]) -> Iterator[FirmRow]:
    return _totals(rows, lambda row: (row.symbol, row.issue_name, row.product_type), _no_venue)


def _by_firm(rows: list[FirmRow]) -> Iterator[FirmRow]:
    return _totals(rows, lambda row: (row.mpid, row.crd, row.firm), _no_security)


def _no_venue(row: FirmRow) -> FirmRow:
    return replace(row, mpid=None, crd=None, firm=None)


def _no_security(row: FirmRow) -> FirmRow:
    return replace(row, symbol=None, issue_name=None, product_type=None)


def _totals(
    rows: list[FirmRow], group: Callable[[FirmRow], Hashable], blank: Callable[[FirmRow], FirmRow]
) -> Iterator[FirmRow]:
    """The sums over each group, in the order in which the groups first appear."""
    groups: dict[Hashable, list[FirmRow]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    for members in groups.values():
        yield replace(
            blank(members[0]),
            shares=sum((row.shares for row in members), Decimal(0)),
            trades=sum(row.trades for row in members),
            notional=_sum(row.notional for row in members),
            published=min(row.published for row in members),
            updated=max(row.updated for row in members),
        )


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _row(row: FirmRow, week: date, tier: str, description: str, summary_type: str) -> Row:
    week_start = week_start_of(week).isoformat()
    return (
        row.shares,
        row.symbol,
        row.issue_name,
        row.updated,
        week.isoformat(),
        description,
        row.published,
        tier,
        week_start,
        row.notional,
        row.trades,
        week_start,
        row.mpid,
        row.crd,
        row.product_type,
        row.firm,
        summary_type,
    )
