"""One week's figures from the rows of its tiers: venue volumes, and the concentration of the market and of each symbol.

Conventions (finra.md, "Analytics conventions"): `share = shares / sum(shares)` of off-exchange volume, within a tier or over
all tiers, within ATS or non-ATS or over both; HHI is the sum of squared shares, on 0-1. Results over all tiers exist only
for a kind that every tier has, results over both kinds only where both are. Sums are exact decimals; shares and HHI are
double precision. Pure: a frame in, frames out, each in an order that depends on its contents alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pipeline.calendar import Tier
from pipeline.finra.rows import DE_MINIMIS, FIRM, NON_ATS

ALL = "ALL"  # as scope: all tiers; as family: both kinds

VENUE = ("venue_kind", "mpid", "crd", "firm")  # the name of an ATS is no part of its key
SECURITY = ("symbol", "issue_name")  # a symbol that two issuers have in one week is two securities
READ = ("tier", "venue_kind", "symbol", "issue_name", "mpid", "crd", "venue_name", "shares", "trades", "notional")
SUM = pl.Decimal(38, 6)

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
    frame = rows.select(READ).with_columns(FIRM).collect()
    securities, venues = _securities(frame), _venues(frame)
    cells = _with_all_tiers(_cells(frame, securities, venues))
    volumes = _volumes(cells).join(venues, on="venue")
    symbols = _concentrations(cells.join(venues, on="venue"), "security")
    markets = _concentrations(volumes).join(
        symbols.group_by("scope", "family").agg(symbols=pl.len()), ["scope", "family"]
    )
    return Figures(
        venues=_shared_and_ranked(volumes)
        .select(VENUES.names())
        .sort("scope", "venue_kind", "rank", *VENUES.names()[2:5]),
        markets=markets.select(MARKETS.names()).sort("scope", "family"),
        symbols=symbols.join(securities, on="security").select(SYMBOLS.names()).sort(SYMBOLS.names()[:4]),
    )


def _securities(frame: pl.DataFrame) -> pl.DataFrame:
    """Each security with a number: numbers group four times faster than names."""
    return frame.select(SECURITY).unique().with_row_index("security")


def _venues(frame: pl.DataFrame) -> pl.DataFrame:
    """Each venue with a number. Of several names that the week gives an ATS, one, whatever the order of the rows."""
    found = frame.group_by(VENUE).agg(pl.col("venue_name").max()).with_row_index("venue")
    return found.with_columns(is_pool=(pl.col("venue_kind") == NON_ATS) & (pl.col("firm") == DE_MINIMIS))


def _cells(frame: pl.DataFrame, securities: pl.DataFrame, venues: pl.DataFrame) -> pl.DataFrame:
    """What each venue traded in each security, by tier: a row, or several that differ in their product type."""
    numbered = frame.join(securities, on=SECURITY).join(venues.select("venue", *VENUE), on=VENUE)
    return numbered.group_by("tier", "security", "venue", "venue_kind").agg(
        pl.col("shares").sum().cast(SUM),
        pl.col("trades", "notional").sum(),
        pl.col("notional").is_null().any().alias("unpriced"),
    )


def _with_all_tiers(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells by scope: those of each tier, and those over all tiers of the kinds that every tier has."""
    tiers = cells.group_by("venue_kind").agg(pl.col("tier").n_unique())
    everywhere = cells.join(tiers.filter(pl.col("tier") == len(Tier)), on="venue_kind", how="semi")
    over_all = everywhere.group_by("security", "venue").agg(
        pl.col("shares", "trades", "notional").sum(), pl.col("unpriced").any()
    )
    of_tiers = cells.rename({"tier": "scope"}).drop("venue_kind")
    return pl.concat([of_tiers, over_all.select(pl.lit(ALL).alias("scope"), pl.all())])


def _volumes(cells: pl.DataFrame) -> pl.DataFrame:
    """Each venue's volume within a scope."""
    sums = cells.group_by("scope", "venue").agg(
        pl.col("shares", "trades", "notional").sum(), pl.col("unpriced").any(), symbols=pl.len()
    )
    shares, trades = pl.col("shares").cast(pl.Float64), pl.col("trades")
    return sums.with_columns(
        notional=pl.when(~pl.col("unpriced")).then("notional"),
        average_trade_size=pl.when(trades > 0).then(shares / trades),
    )


def _shared_and_ranked(volumes: pl.DataFrame) -> pl.DataFrame:
    """With share and rank within the kind and over both kinds."""
    both = pl.col("venue_kind").n_unique().over("scope") == 2
    return volumes.with_columns(
        share=_share("scope", "venue_kind"),
        rank=_rank("scope", "venue_kind"),
        share_of_all=pl.when(both).then(_share("scope")),
        rank_of_all=pl.when(both).then(_rank("scope")),
    )


def _share(*within: str) -> pl.Expr:
    shares = pl.col("shares").cast(pl.Float64)
    total = pl.col("shares").sum().over(within).cast(pl.Float64)
    return pl.when(total > 0).then(shares / total)


def _rank(*within: str) -> pl.Expr:
    return pl.col("shares").rank("min", descending=True).over(within).cast(pl.UInt32)


def _concentrations(volumes: pl.DataFrame, *of: str) -> pl.DataFrame:
    """The concentration over venues, of the market or of each thing named, in each scope and family.

    From volumes of single venues. The squares of the pool are summed apart: the two ends of HHI differ in them.
    """
    volume, is_pool = pl.col("shares").cast(pl.Float64), pl.col("is_pool")
    square = volume * volume
    of_kinds = volumes.group_by("scope", pl.col("venue_kind").alias("family"), *of).agg(
        pl.col("shares", "trades").sum(),
        venues=pl.len(),
        named=pl.when(~is_pool).then(square).sum(),
        pooled=pl.when(is_pool).then(square).sum(),
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
    return summed.with_columns(family=pl.lit(ALL)).select(of_kinds.columns)
