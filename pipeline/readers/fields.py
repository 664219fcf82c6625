"""The dictionary: every field of every dataset, its type, unit, when it is null, and its meaning.

The API's schema, Parquet files, the Data Package and the documentation are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

SCHEMA_VERSION = "1.0"
SOURCE = "FINRA OTC (ATS & Non-ATS) Transparency"
TERMS = "FINRA OTC Transparency data: give FINRA as the source; its terms allow no commercial redistribution"

SHARES, SUM = pl.Decimal(18, 6), pl.Decimal(38, 6)
TEXT, DAY, WHOLE, REAL, TRUTH = pl.String(), pl.Date(), pl.Int64(), pl.Float64(), pl.Boolean()
INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Field:
    """A column: `null` says when it is null; empty for never."""

    name: str
    type: pl.DataType
    meaning: str
    unit: str = ""
    null: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table for readers. `key` are the columns that identify a row, and the order of the rows."""

    name: str
    title: str
    meaning: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]

    @property
    def schema(self) -> pl.Schema:
        """Its columns and their types."""
        return pl.Schema({field.name: field.type for field in self.fields})

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns."""
        return tuple(field.name for field in self.fields)


def shares(name: str, meaning: str, *, null: str = "", kind: pl.DataType = SUM) -> Field:
    """A number of shares, exact to the millionth."""
    return Field(name, kind, meaning, "shares", null)


def count(name: str, meaning: str, unit: str = "", *, null: str = "") -> Field:
    """A whole number."""
    return Field(name, WHOLE, meaning, unit, null)


def real(name: str, meaning: str, unit: str = "ratio 0-1", *, null: str = "") -> Field:
    """A number in double precision."""
    return Field(name, REAL, meaning, unit, null)


def text(name: str, meaning: str, *, null: str = "") -> Field:
    """A text, empty where FINRA gives none."""
    return Field(name, TEXT, meaning, null=null)


def day(name: str, meaning: str, *, null: str = "") -> Field:
    """A day."""
    return Field(name, DAY, meaning, null=null)


def instant(name: str, meaning: str, *, null: str = "") -> Field:
    """An instant, in UTC."""
    return Field(name, INSTANT, meaning, "UTC", null)


def truth(name: str, meaning: str, *, null: str = "") -> Field:
    """Yes or no."""
    return Field(name, TRUTH, meaning, null=null)


WEEK = day("week_ending", "the Friday of the trading week")
MONDAY = day("week_start", "the Monday of the trading week, by which FINRA keys it")
TIER = text("tier", "NMS_TIER_1, NMS_TIER_2 or OTC")
SCOPE = text("tier", "NMS_TIER_1, NMS_TIER_2 or OTC; ALL: over all tiers")
KIND = text("venue_kind", "ATS: alternative trading systems; NON_ATS: firms that trade off-exchange without one")
FAMILY = text("venue_kind", "ATS, NON_ATS, or ALL: both together")
SYMBOL = text("symbol", "FINRA's spelling, case counts; empty in some real rows")
ISSUE = text("issue_name", "the name of the issue: two securities may have one symbol in a week")
SECURITY = (SYMBOL, ISSUE)
VENUE = (
    text("mpid", "the MPID, which identifies an ATS; empty for a firm"),
    text("crd", "the CRD number, where FINRA gives one: its web files do not"),
    text(
        "venue_name",
        "the venue's name, which identifies a firm; De Minimis Firms is the pool of the small ones, not one",
    ),
)
CAPTURE = text("capture_id", "the capture that it comes from")
VERSION = count("version", "that capture's number within its partition, from 1")
TRADES = count("trades", "number of trades", "trades")
AVERAGE = real("average_trade_size", "shares / trades", "shares", null="without trades")
NO_VOLUME = "without volume"
ONE_KIND = "where one kind is not captured"

ROW = (
    WEEK,
    MONDAY,
    TIER,
    KIND,
    *SECURITY,
    *VENUE,
    text("product_type", "CTS or UTP; from the API only, else empty"),
    shares("shares", "the week's volume, not adjusted for splits", kind=SHARES),
    TRADES,
    Field("notional", SUM, "the week's volume in dollars", "US dollars", "where FINRA gives none: web files"),
    day("last_update_date", "FINRA's lastUpdateDate: the day of first publication until the row is revised"),
)
ROW_KEY = ("week_ending", "tier", "symbol", "issue_name", "mpid", "crd", "venue_name", "product_type")
