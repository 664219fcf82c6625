"""The datasets of rows: as FINRA published them, every version of a row, and how two vintages differ."""

from __future__ import annotations

from pipeline.readers.fields import (
    CAPTURE,
    KIND,
    MONDAY,
    ROW,
    ROW_KEY,
    SECURITY,
    SHARES,
    SUM,
    TIER,
    VERSION,
    WEEK,
    Dataset,
    Field,
    count,
    day,
    instant,
    real,
    shares,
    text,
)

ROWS = Dataset(
    "rows",
    "Rows",
    "What FINRA published: a row per security and venue of a partition, of the vintage that is asked for",
    (*ROW, CAPTURE, VERSION),
    ROW_KEY,
)

ROW_SEARCH = Dataset(
    "row_search",
    "Row search",
    "The rows that a search finds, the newest week or the most shares first, with the sums of all of them",
    ROWS.fields,
    ROW_KEY,
)

ROW_HISTORY = Dataset(
    "row_history",
    "Row versions",
    "Every version of a row, and when it was known: from known_from until before known_to",
    (
        *ROW,
        count("first_version", "the version of the partition in which it was first so"),
        count("last_version", "the last version in which it is so", null="while it is so in the newest version"),
        instant("known_from", "the instant since which it was known"),
        instant("known_to", "the instant from which it was not so any more", null="while it is current"),
    ),
    (*ROW_KEY, "first_version"),
)

DIFFERENCES = Dataset(
    "differences",
    "Differences",
    "The rows in which two vintages of a partition differ, before and after",
    (
        WEEK,
        MONDAY,
        TIER,
        text("change", "added, changed or removed"),
        KIND,
        *SECURITY,
        text("mpid", "the MPID, which identifies an ATS; empty for a firm"),
        text("crd", "the CRD number, where FINRA gives one"),
        text("firm", "the name of a firm; empty for an ATS"),
        text("product_type", "CTS or UTP; from the API only, else empty"),
        shares("shares_before", "volume before", kind=SHARES, null="of an added row"),
        shares("shares_after", "volume after", kind=SHARES, null="of a removed row"),
        count("trades_before", "trades before", "trades", null="of an added row"),
        count("trades_after", "trades after", "trades", null="of a removed row"),
        Field("notional_before", SUM, "dollars before", "US dollars", "where FINRA gives none"),
        Field("notional_after", SUM, "dollars after", "US dollars", "where FINRA gives none"),
        day("last_update_date_before", "FINRA's lastUpdateDate before", null="of an added row"),
        day("last_update_date_after", "FINRA's lastUpdateDate after", null="of a removed row"),
        shares("shares_change", "volume after less volume before; a row that is not there has none"),
        shares("shares_moved", "the same without its sign: those that moved most come first"),
        real("relative_change", "shares_change / shares_before", "ratio", null="without shares before"),
        text("capture_id_before", "the capture before"),
        text("capture_id_after", "the capture after"),
    ),
    ("week_ending", "tier", "symbol", "issue_name", "mpid", "crd", "firm", "product_type"),
)
