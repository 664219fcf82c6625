"""FINRA's names for the fields of a row and for the cuts of a partition (finra.md, "Rows")."""

from __future__ import annotations

from enum import StrEnum

SHARES, TRADES, NOTIONAL = "totalWeeklyShareQuantity", "totalWeeklyTradeCount", "totalNotionalSum"
SYMBOL, ISSUE, PRODUCT = "issueSymbolIdentifier", "issueName", "productTypeCode"
MPID, CRD, FIRM = "MPID", "firmCRDNumber", "marketParticipantName"
WEEK, TIER, TYPE, UPDATED = "weekStartDate", "tierIdentifier", "summaryTypeCode", "lastUpdateDate"
DESCRIPTION, WEEK_STARTED = "tierDescription", "summaryStartDate"
PUBLISHED, REPORTED = "initialPublishedDate", "lastReportedDate"

REQUIRED = frozenset({SHARES, TRADES, SYMBOL, ISSUE, WEEK, TIER, TYPE, UPDATED})
# Asked for by name. FINRA leaves out of a reply the fields that a row lacks: totalNotionalSum is in newer rows only.
FIELDS = (
    *(WEEK, TIER, TYPE, SYMBOL, ISSUE, PRODUCT, MPID, CRD, FIRM, SHARES, TRADES, NOTIONAL, UPDATED),
    *(DESCRIPTION, WEEK_STARTED, PUBLISHED, REPORTED),
)
HISTORIC_FIELDS = ("historicalWeek", "historicalMonth")  # the history's own; seen in lower case, too


class SummaryType(StrEnum):
    """The cuts that a partition is made of: firm rows are its rows, symbol rows the totals they must add up to."""

    ATS_FIRMS = "ATS_W_SMBL_FIRM"
    NON_ATS_FIRMS = "OTC_W_SMBL_FIRM"
    ATS_SYMBOLS = "ATS_W_SMBL"
    NON_ATS_SYMBOLS = "OTC_W_SMBL"

    @property
    def is_ats(self) -> bool:
        """Whether it is of ATS volume; FINRA calls non-ATS volume OTC here, whatever the tier."""
        return self.value.startswith("ATS")

    @property
    def has_firms(self) -> bool:
        """Whether its rows are by symbol and firm."""
        return self.value.endswith("_FIRM")
