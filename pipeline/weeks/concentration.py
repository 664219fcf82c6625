"""One week's figures from the rows of its tiers: venue volumes, and the concentration of the market and of each symbol.

Conventions (finra.md, "Analytics conventions"): `share = shares / sum(shares)` of off-exchange volume, within a tier or over
all tiers, within ATS or non-ATS or over both; HHI is the sum of squared shares, on 0-1. Results over all tiers exist only
for a kind that every tier has, results over both kinds only where both are. Sums are exact decimals; shares and HHI are
double precision. Pure: a frame in, frames out, each in an order that depends on its contents alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pipeline.finra.calendar import Tier
from pipeline.finra.rows import ATS, DE_MINIMIS, FIRM, NON_ATS

ALL = "ALL"  # as scope: all tiers; as family: both kinds
SCOPE = pl.Enum(sorted([ALL, *Tier]))
FAMILY = pl.Enum(sorted([ALL, ATS, NON_ATS]))
SUM = pl.Decimal(38, 6)

# Securities and venues as one text each: no field can hold a pipe. A symbol that two issuers have in one week is two
# securities. The name of an ATS is no part of its key.
SECURITY = pl.concat_str("symbol", "issue_name", separator="|").alias("security")
VENUE = pl.concat_str("venue_kind", "mpid", "crd", FIRM, separator="|").alias("venue")
IS_POOL = ((pl.col("venue_kind") == NON_ATS) & (pl.col("venue_name") == DE_MINIMIS)).alias("is_pool")
CELL = ("scope", "security", "venue")

_CONCENTRATION: dict[str, pl.DataType] = {
    "shares": SUM,
    "trades": pl.Int64(),
    "venues": pl.UInt32(),
    "hhi_low": pl.Float64(),
    "hhi_high": pl.Float64(),
}
VENUES = pl.Schema(
    {
        "scope": pl.String(),
        "venue_kind": pl.String(),
        "mpid": pl.String(),
        "crd": pl.String(),
        "venue_name": pl.String(),
        "shares": SUM,
        "trades": pl.Int64(),
        "symbols": pl.UInt32(),
        "notional": SUM,
        "average_trade_size": pl.Float64(),
        "share": pl.Float64(),
        "rank": pl.UInt32(),
        "share_of_all": pl.Float64(),
        "rank_of_all": pl.UInt32(),
    }
)
MARKETS = pl.Schema({"scope": pl.String(), "family": pl.String(), **_CONCENTRATION, "symbols": pl.UInt32()})
SYMBOLS = pl.Schema(
    {"scope": pl.String(), "family": pl.String(), "symbol": pl.String(), "issue_name": pl.String(), **_CONCENTRATION}
)


@dataclass(frozen=True, slots=True)
class Figures:
    """A week's results: frames of the columns of VENUES, MARKETS and SYMBOLS.

    `share` (0-1) and `rank` (from 1, equal volumes share one) are within the venue's kind, `share_of_all` and `rank_of_all`
    over both kinds, null where only one is captured. `notional` (US dollars) is null unless every row of the venue has one.
    `hhi_low` leaves the De Minimis pool out of the squares, `hhi_high` takes it as one firm; null without volume.
    """

    venues: pl.DataFrame
    markets: pl.DataFrame
    symbols: pl.DataFrame


def figures_of(rows: pl.LazyFrame) -> Figures:
    """The figures of the rows of a week: one frame over its captured tiers, which is read once."""
    read = rows.select(
        "tier", "venue_kind", SECURITY, VENUE, IS_POOL, "venue_name", "shares", "trades", "notional"
    ).collect()
    cells = _with_all_tiers(_cells(read))
    symbols = concentrations(cells, "security")
    volumes = _volumes(cells)
    markets = concentrations(volumes).join(
        symbols.group_by("scope", "family").agg(symbols=pl.len()), ["scope", "family"]
    )
    return Figures(
        venues=_named(_shared_and_ranked(volumes), read),
        markets=_as(MARKETS, markets.sort("scope", "family")),
        symbols=_as(
            SYMBOLS,
            symbols.sort("scope", "family", "security").with_columns(*_fields("security", "symbol", "issue_name")),
        ),
    )


def _cells(read: pl.DataFrame) -> pl.DataFrame:
    """The volume of each venue in each security, by tier.

    Securities and venues are categories in the order of their texts, which group and sort as numbers do.
    """
    return _merged(
        read.select(
            pl.col("tier").cast(SCOPE).alias("scope"),
            pl.col("venue_kind").cast(FAMILY).alias("family"),
            pl.col("security").cast(pl.Enum(read["security"].unique().sort())),
            pl.col("venue").cast(pl.Enum(read["venue"].unique().sort())),
            "is_pool",
            pl.col("shares").cast(SUM),
            "trades",
            "notional",
            pl.col("notional").is_null().alias("unpriced"),
        )
    )


def _with_all_tiers(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells of each tier, and those over all tiers of the kinds that every tier has."""
    tiers = cells.group_by("family").agg(pl.col("scope").n_unique())
    everywhere = cells.join(tiers.filter(pl.col("scope") == len(Tier)), on="family", how="semi")
    return pl.concat([cells, _merged(everywhere.with_columns(scope=pl.lit(ALL, SCOPE)))])


def _merged(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells of which each stands once: the few that differ in product type alone, or in tier, are added up."""
    several = cells.select(pl.struct(CELL).is_duplicated()).to_series()
    merged = (
        cells.filter(several)
        .group_by(CELL)
        .agg(
            pl.col("family", "is_pool").first(), pl.col("shares", "trades", "notional").sum(), pl.col("unpriced").any()
        )
    )
    return pl.concat([cells.filter(~several), merged.select(cells.columns)])


def _volumes(cells: pl.DataFrame) -> pl.DataFrame:
    """Each venue's volume within a scope."""
    sums = cells.group_by("scope", "venue").agg(
        pl.col("family", "is_pool").first(),
        pl.col("shares", "trades", "notional").sum(),
        pl.col("unpriced").any(),
        symbols=pl.len(),
    )
    shares, trades = pl.col("shares").cast(pl.Float64), pl.col("trades")
    return sums.with_columns(
        notional=pl.when(~pl.col("unpriced")).then("notional"),
        average_trade_size=pl.when(trades > 0).then(shares / trades),
    )


def _named(volumes: pl.DataFrame, read: pl.DataFrame) -> pl.DataFrame:
    """With the venues' names, in order. Of several names that the week gives an ATS, one, whatever the order of the rows."""
    names = read.group_by("venue").agg(pl.col("venue_name").max())
    named = (
        volumes.with_columns(pl.col("venue").cast(pl.String))
        .join(names, on="venue")
        .sort("scope", "family", "rank", "venue")
    )
    return _as(VENUES, named.with_columns(*_fields("venue", "venue_kind", "mpid", "crd")))


def _fields(text: str, *names: str) -> list[pl.Expr]:
    """The fields that a text is made of."""
    split = pl.col(text).cast(pl.String).str.split("|")
    return [split.list.get(position).alias(name) for position, name in enumerate(names)]


def _as(schema: pl.Schema, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(schema.names()).cast(schema)


def _shared_and_ranked(volumes: pl.DataFrame) -> pl.DataFrame:
    """With share and rank within the kind and over both kinds."""
    both = pl.col("family").n_unique().over("scope") == 2
    return volumes.with_columns(
        share=_share("scope", "family"),
        rank=_rank("scope", "family"),
        share_of_all=pl.when(both).then(_share("scope")),
        rank_of_all=pl.when(both).then(_rank("scope")),
    )


def _share(*within: str) -> pl.Expr:
    shares = pl.col("shares").cast(pl.Float64)
    total = pl.col("shares").sum().over(within).cast(pl.Float64)
    return pl.when(total > 0).then(shares / total)


def _rank(*within: str) -> pl.Expr:
    return pl.col("shares").rank("min", descending=True).over(within).cast(pl.UInt32)


def concentrations(volumes: pl.DataFrame, *of: str) -> pl.DataFrame:
    """The concentration over venues, of the market or of each thing named, in each scope and family.

    `volumes` has scope, family, venue, is_pool, shares, trades, and the columns named in `of`.

    From volumes of single venues. The squares of the pool are summed apart: the two ends of HHI differ in them. They are
    added in the venues' order, for in another the last digit would be another.
    """
    volume, is_pool = pl.col("shares").cast(pl.Float64), pl.col("is_pool")
    square = volume * volume
    of_kinds = (
        volumes.sort("venue")
        .group_by("scope", "family", *of)
        .agg(
            pl.col("shares", "trades").sum(),
            venues=pl.len(),
            named=pl.when(~is_pool).then(square).sum(),
            pooled=pl.when(is_pool).then(square).sum(),
        )
    )
    total = pl.col("shares").cast(pl.Float64)
    return pl.concat([of_kinds, _of_both_kinds(of_kinds, *of)]).with_columns(
        hhi_low=pl.when(total > 0).then(pl.col("named") / total**2),
        hhi_high=pl.when(total > 0).then((pl.col("named") + pl.col("pooled")) / total**2),
    )


def _of_both_kinds(of_kinds: pl.DataFrame, *of: str) -> pl.DataFrame:
    """The same over both kinds together, in the scopes that have both."""
    kinds = of_kinds.group_by("scope").agg(pl.col("family").n_unique())
    within = of_kinds.join(kinds.filter(pl.col("family") == 2), on="scope", how="semi")
    summed = within.group_by("scope", *of).agg(pl.col("shares", "trades", "venues", "named", "pooled").sum())
    return summed.with_columns(family=pl.lit(ALL, FAMILY)).select(of_kinds.columns)
