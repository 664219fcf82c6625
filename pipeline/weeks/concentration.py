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
from pipeline.finra.rows import ATS, DE_MINIMIS, FIRM, NON_ATS, runs_of_securities

ALL = "ALL"  # as scope: all tiers; as family: both kinds
SCOPE = pl.Enum(sorted([ALL, *Tier]))
FAMILY = pl.Enum(sorted([ALL, ATS, NON_ATS]))
SUM = pl.Decimal(38, 6)

# A venue as one text: no field can hold a pipe. The name of an ATS is no part of its key.
VENUE = pl.concat_str("venue_kind", "mpid", "crd", FIRM, separator="|").alias("venue")
IS_POOL = ((pl.col("venue_kind") == NON_ATS) & (pl.col("venue_name") == DE_MINIMIS)).alias("is_pool")

# A symbol that two issuers have in one week is two securities.
SECURITY = ("symbol", "issue_name")
NAMED_VENUE = ("venue_kind", "mpid", "crd", "venue_name")
READ = ("tier", *SECURITY, *NAMED_VENUE, "shares", "trades", "notional")

# A cell, the volume of one venue in one security, has a place among all in one number of 64 bits: from the upper ones on its
# scope (2), security (30), family (2) and venue (30). Numbers sort and group many times as fast as texts, fastest in order.
PLACE = pl.col("place")
OF_SCOPE, OF_SECURITY, OF_FAMILY = 2**62, 2**32, 2**30
SCOPE_AT = (PLACE // OF_SCOPE).cat.to(SCOPE).alias("scope")
SECURITY_AT = (PLACE % OF_SCOPE // OF_SECURITY).alias("security")
FAMILY_AT = (PLACE % OF_SECURITY // OF_FAMILY).cat.to(FAMILY).alias("family")
VENUE_AT = (PLACE % OF_FAMILY).alias("venue")
SECURITY_PLACE = (PLACE // OF_FAMILY * OF_FAMILY).alias("place")  # that of all its venues of a family
VENUE_PLACE = (PLACE // OF_SCOPE * OF_SCOPE + PLACE % OF_SECURITY).alias("place")  # that of all its securities

# The squares of the De Minimis pool are summed apart: the two ends of HHI differ in them.
SQUARE = pl.col("shares").cast(pl.Float64) ** 2
SQUARES = (
    pl.when(~pl.col("is_pool")).then(SQUARE).otherwise(0.0).alias("named"),
    pl.when("is_pool").then(SQUARE).otherwise(0.0).alias("pooled"),
)
CONCENTRATED = (pl.col("shares", "trades").sum(), pl.len().alias("venues"), pl.col("named", "pooled").sum())

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
    read = rows.select(READ).collect()
    securities, venues = _securities(read), _venues(read)
    cells = _with_all_tiers(_cells(read, securities, venues))
    symbols, volumes = _of_symbols(cells), _volumes(cells, venues.things)
    of_markets = symbols.group_by("scope", "family").agg(symbols=pl.len())
    markets = concentrations(volumes).join(of_markets, ["scope", "family"])
    return Figures(
        venues=_as(VENUES, _shared_and_ranked(volumes).sort("scope", "family", "rank", "venue")),
        markets=_as(MARKETS, markets.sort("scope", "family")),
        symbols=_as(SYMBOLS, _at(symbols.sort("scope", "family", "security"), "security", securities.things)),
    )


@dataclass(frozen=True, slots=True)
class _Numbered:
    """The different things of some rows, in the order of their texts, and for each row the number of its own."""

    things: pl.DataFrame
    of_rows: pl.Series


def _numbered(frame: pl.DataFrame, *fields: str) -> _Numbered:
    """The different values of some fields together."""
    texts = frame.select(pl.concat_str(fields, separator="|")).to_series()
    different = texts.unique().sort()
    split = different.str.split("|")
    things = pl.DataFrame([split.list.get(position).alias(field) for position, field in enumerate(fields)])
    return _Numbered(things, texts.cast(pl.Enum(different)).to_physical())


def _securities(read: pl.DataFrame) -> _Numbered:
    runs, run = runs_of_securities(read)
    of_runs = _numbered(runs, *SECURITY)
    return _Numbered(of_runs.things, of_runs.of_rows.gather(run))


def _venues(read: pl.DataFrame) -> _Numbered:
    """Of several names that the week gives an ATS, the venue has one, whatever the order of the rows."""
    named = _numbered(read, *NAMED_VENUE)
    keys = named.things.with_columns(VENUE, IS_POOL)
    one_name = pl.col("venue_kind", "mpid", "crd", "is_pool").first(), pl.col("venue_name").max()
    venues = keys.group_by("venue").agg(*one_name).sort("venue")
    of_names = keys["venue"].cast(pl.Enum(venues["venue"])).to_physical()
    return _Numbered(venues.drop("venue"), of_names.gather(named.of_rows))


def _at(frame: pl.DataFrame, number: str, things: pl.DataFrame) -> pl.DataFrame:
    """With the fields of the things that a column numbers."""
    return frame.hstack(things[frame[number]])


def _cells(read: pl.DataFrame, securities: _Numbered, venues: _Numbered) -> pl.DataFrame:
    """The volume of each venue in each security, by tier, in order."""
    places = (
        (pl.col("tier").cast(SCOPE), OF_SCOPE),
        (pl.lit(securities.of_rows), OF_SECURITY),
        (pl.col("venue_kind").cast(FAMILY), OF_FAMILY),
        (pl.lit(venues.of_rows), 1),
    )
    return _merged(
        read.select(
            pl.sum_horizontal(of.to_physical().cast(pl.UInt64) * size for of, size in places).alias("place"),
            venues.things["is_pool"].gather(venues.of_rows),
            pl.col("shares").cast(SUM),
            "trades",
            "notional",
            pl.col("notional").is_null().alias("unpriced"),
        )
    )


def _with_all_tiers(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells of each tier after those over all tiers, of the kinds that every tier has."""
    tiers = cells.group_by(FAMILY_AT).agg(SCOPE_AT.n_unique())
    everywhere = tiers.filter(pl.col("scope") == len(Tier))["family"]
    of_all = cells.filter(FAMILY_AT.is_in(everywhere.implode())).with_columns(PLACE % OF_SCOPE)  # ALL is scope 0
    return pl.concat([_merged(of_all), cells])


def _merged(cells: pl.DataFrame) -> pl.DataFrame:
    """In order, and each place once: the few cells that differ in product type alone, or in tier, are added up."""
    ordered = cells.sort("place")
    several = ordered.select((PLACE.shift(1) == PLACE) | (PLACE.shift(-1) == PLACE)).to_series().fill_null(value=False)
    merged = (
        ordered.filter(several)
        .group_by("place")
        .agg(pl.col("is_pool").first(), pl.col("shares", "trades", "notional").sum(), pl.col("unpriced").any())
    )
    return pl.concat([ordered.filter(~several), merged]).sort("place")


def _of_symbols(cells: pl.DataFrame) -> pl.DataFrame:
    """The concentration of each security, by its number, in each scope and family."""
    by_security = cells.with_columns(SECURITY_PLACE.set_sorted(), *SQUARES).group_by("place", maintain_order=True)
    of_kinds = by_security.agg(*CONCENTRATED).select(SCOPE_AT, FAMILY_AT, SECURITY_AT, pl.exclude("place"))
    return _with_both_kinds(of_kinds, "security")


def _volumes(cells: pl.DataFrame, venues: pl.DataFrame) -> pl.DataFrame:
    """Each venue's volume within a scope."""
    sums = cells.group_by(VENUE_PLACE).agg(
        pl.col("shares", "trades", "notional").sum(), pl.col("unpriced").any(), symbols=pl.len()
    )
    shares, trades = pl.col("shares").cast(pl.Float64), pl.col("trades")
    volumes = sums.with_columns(
        SCOPE_AT,
        FAMILY_AT,
        VENUE_AT,
        notional=pl.when(~pl.col("unpriced")).then("notional"),
        average_trade_size=pl.when(trades > 0).then(shares / trades),
    )
    return _at(volumes, "venue", venues)


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

    `volumes`, of single venues, has scope, family, venue, is_pool, shares, trades, and the columns named in `of`.

    The squares are added in the venues' order, for in another the last digit would be another.
    """
    of_kinds = volumes.with_columns(*SQUARES).sort("venue").group_by("scope", "family", *of).agg(*CONCENTRATED)
    return _with_both_kinds(of_kinds, *of)


def _with_both_kinds(of_kinds: pl.DataFrame, *of: str) -> pl.DataFrame:
    """The same, and over both kinds together in the scopes that have both, with the two ends of HHI."""
    kinds = of_kinds.group_by("scope").agg(pl.col("family").n_unique())
    within = of_kinds.join(kinds.filter(pl.col("family") == 2), on="scope", how="semi")
    summed = within.group_by("scope", *of).agg(pl.col("shares", "trades", "venues", "named", "pooled").sum())
    both = summed.with_columns(family=pl.lit(ALL, FAMILY)).select(of_kinds.columns)
    total = pl.col("shares").cast(pl.Float64)
    return pl.concat([of_kinds, both]).with_columns(
        hhi_low=pl.when(total > 0).then(pl.col("named") / total**2),
        hhi_high=pl.when(total > 0).then((pl.col("named") + pl.col("pooled")) / total**2),
    )
