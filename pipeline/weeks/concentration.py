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

# A venue as one text: no field can hold a pipe. The name of an ATS is no part of its key.
VENUE = pl.concat_str("venue_kind", "mpid", "crd", FIRM, separator="|").alias("venue")
IS_POOL = ((pl.col("venue_kind") == NON_ATS) & (pl.col("venue_name") == DE_MINIMIS)).alias("is_pool")

# A symbol that two issuers have in one week is two securities.
SECURITY = ("symbol", "issue_name")
NAMED_VENUE = ("venue_kind", "mpid", "crd", "venue_name")
READ = ("tier", *SECURITY, *NAMED_VENUE, "product_type", "shares", "trades", "notional")
VOLUME = (pl.col("shares", "trades", "notional").sum(), pl.col("unpriced").any())

# The place of a security's figures among all: one number sorts in a third of the time that three columns take.
PLACE = (
    pl.col("scope").to_physical().cast(pl.UInt64) * 2**40
    + pl.col("family").to_physical().cast(pl.UInt64) * 2**32
    + pl.col("security")
)

# The squares of the De Minimis pool are summed apart: the two ends of HHI differ in them.
SQUARE = (pl.col("shares").cast(pl.Float64) ** 2).alias("square")
SQUARES = (
    pl.when(~pl.col("is_pool")).then("square").otherwise(0.0).alias("named"),
    pl.when("is_pool").then("square").otherwise(0.0).alias("pooled"),
)
CONCENTRATED = (pl.col("shares", "trades").sum(), pl.len().alias("venues"), pl.col("named", "pooled").sum())

_CONCENTRATION = pl.Schema(
    {"shares": SUM, "trades": pl.Int64(), "venues": pl.UInt32(), "hhi_low": pl.Float64(), "hhi_high": pl.Float64()}
)
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
    In `coded_symbols` texts may be categories: so they are computed, and written in two thirds of the time.
    """

    venues: pl.DataFrame
    markets: pl.DataFrame
    coded_symbols: pl.DataFrame

    @property
    def symbols(self) -> pl.DataFrame:
        """The symbols with texts."""
        return self.coded_symbols.cast(SYMBOLS)


def figures_of(rows: pl.LazyFrame) -> Figures:
    """The figures of the rows of a week: one frame over its captured tiers, which is read once.

    The rows of each tier stand in canonical order, as in vintage files: those of one kind in a security are a run.
    """
    cells = _cells(rows.select(READ).collect())
    runs = _runs(cells)
    shared = _over_tiers(cells, runs)
    symbols, volumes = _of_symbols(cells, runs, shared), _volumes(cells, shared)
    of_markets = symbols.group_by("scope", "family").agg(symbols=pl.len())
    markets = concentrations(volumes).join(of_markets, ["scope", "family"])
    return Figures(
        venues=_as(VENUES, _shared_and_ranked(volumes).sort("scope", "family", "rank", "venue")),
        markets=_as(MARKETS, markets.sort("scope", "family")),
        coded_symbols=symbols.select(SYMBOLS.names()).cast(_CONCENTRATION),
    )


def _cells(read: pl.DataFrame) -> pl.DataFrame:
    """The volume of each venue in each security of a tier: rows that differ in product type alone are added up.

    An MPID that sorts behind the pipe, with which the key of a firm begins, stands behind the firms of its security.
    """
    rows = read.with_columns(pl.col("shares").cast(SUM), pl.col("notional").is_null().alias("unpriced"))
    if (rows["mpid"] > "|").any():
        rows = rows.sort("tier", *SECURITY, "venue_kind", maintain_order=True)
    if rows["product_type"].n_unique() <= 1:
        return rows
    cell = ("tier", *SECURITY, "venue_kind", "mpid", "crd", FIRM)
    return rows.group_by(cell, maintain_order=True).agg(pl.col("venue_name").max(), *VOLUME)


@dataclass(frozen=True, slots=True)
class _Runs:
    """The cells of each kind in each security of a tier, which stand together.

    For each cell the number of its run; for each run its scope, its family, and the number of its security among all, which
    are in the order of their texts; and whether several tiers have the security.
    """

    of_cells: pl.Series
    heads: pl.DataFrame
    securities: pl.DataFrame
    is_shared: pl.Series


def _runs(cells: pl.DataFrame) -> _Runs:
    keys = cells.select("tier", *SECURITY, "venue_kind")
    run = keys.to_struct().rle_id()
    firsts = keys.filter(run.ne_missing(run.shift()))
    text = firsts.select(pl.concat_str(SECURITY, separator="|")).to_series()
    heads = firsts.select(
        pl.col("tier").cast(SCOPE).alias("scope"),
        pl.col("venue_kind").cast(FAMILY).alias("family"),
        (text.rank("dense") - 1).alias("security"),
    )
    securities = firsts.select(*SECURITY).hstack(heads).unique("security").sort("security").select(SECURITY)
    texts = pl.Categorical(pl.Categories.random())  # of this week alone: they go with it
    of_tiers = heads.select("scope", "security").unique()
    shared = of_tiers.filter(pl.col("security").is_duplicated())["security"]
    return _Runs(run.alias("run"), heads, securities.cast(texts), heads["security"].is_in(shared.implode()))


def _over_tiers(cells: pl.DataFrame, runs: _Runs) -> pl.DataFrame:
    """The cells over all tiers of the securities that several tiers have. `repeated`: how many more there are by tier."""
    is_shared = runs.is_shared.gather(runs.of_cells)
    of_tiers = cells.filter(is_shared).hstack(runs.heads[runs.of_cells.filter(is_shared)]).with_columns(VENUE, IS_POOL)
    added = of_tiers.group_by("family", "security", "venue").agg(
        pl.col("is_pool").first(), pl.col("shares", "trades").sum(), repeated=pl.len().cast(pl.Int64) - 1
    )
    return added.sort("family", "security", "venue").with_columns(scope=pl.lit(ALL, SCOPE))


def _of_symbols(cells: pl.DataFrame, runs: _Runs, shared: pl.DataFrame) -> pl.DataFrame:
    """The concentration of each security in each scope and family, in order.

    Over all tiers that of a security which one tier has is known already.
    """
    by_run = cells.select(runs.of_cells.set_sorted(), "shares", "trades", IS_POOL)
    of_tiers = runs.heads.hstack(_concentrated(by_run, "run").drop("run"))
    alone = of_tiers.filter(~runs.is_shared).with_columns(scope=pl.lit(ALL, SCOPE))
    of_shared = _concentrated(shared, "scope", "family", "security")
    over_all = pl.concat([alone, of_shared]).filter(_everywhere(of_tiers))
    found = _with_both_kinds(pl.concat([over_all, of_tiers]), "security").sort(PLACE)
    return found.hstack(runs.securities[found["security"]])


def _everywhere(of_tiers: pl.DataFrame) -> pl.Expr:
    """Whether every tier has the kind: results over all tiers exist for no other."""
    tiers = of_tiers.group_by("family").agg(pl.col("scope").n_unique())
    return pl.col("family").is_in(tiers.filter(pl.col("scope") == len(Tier))["family"].implode())


def _volumes(cells: pl.DataFrame, shared: pl.DataFrame) -> pl.DataFrame:
    """Each venue's volume within a scope. Of several names that the week gives an ATS, it has one in all of them."""
    named = cells.lazy().group_by("tier", *NAMED_VENUE).agg(*VOLUME, symbols=pl.len().cast(pl.Int64)).collect()
    of_tiers = named.with_columns(
        VENUE,
        IS_POOL,
        pl.col("tier").cast(SCOPE).alias("scope"),
        pl.col("venue_kind").cast(FAMILY).alias("family"),
    ).with_columns(pl.col("venue_name").max().over("venue"))
    over_all = of_tiers.filter(_everywhere(of_tiers)).with_columns(scope=pl.lit(ALL, SCOPE))
    summed = (
        pl.concat([over_all, of_tiers])
        .group_by("scope", "venue")
        .agg(pl.col("family", *NAMED_VENUE, "is_pool").first(), *VOLUME, pl.col("symbols").sum())
    )
    repeated = shared.group_by("scope", "venue").agg(pl.col("repeated").sum())
    shares, trades = pl.col("shares").cast(pl.Float64), pl.col("trades")
    return summed.join(repeated, ["scope", "venue"], how="left").with_columns(
        pl.col("symbols") - pl.col("repeated").fill_null(0),
        notional=pl.when(~pl.col("unpriced")).then("notional"),
        average_trade_size=pl.when(trades > 0).then(shares / trades),
    )


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
    return _with_both_kinds(_concentrated(volumes.sort("venue"), "scope", "family", *of), *of)


def _concentrated(cells: pl.DataFrame, *of: str) -> pl.DataFrame:
    """The sums of CONCENTRATED, each in the order of the cells."""
    squares = cells.with_columns(SQUARE).with_columns(*SQUARES)
    return squares.group_by(of, maintain_order=True).agg(*CONCENTRATED)


def _with_both_kinds(of_kinds: pl.DataFrame, *of: str) -> pl.DataFrame:
    """The same, and over both kinds together in the scopes that have both, with the two ends of HHI."""
    kinds = of_kinds.group_by("scope").agg(pl.col("family").n_unique())
    within = of_kinds.filter(pl.col("scope").is_in(kinds.filter(pl.col("family") == 2)["scope"].implode()))
    summed = within.group_by("scope", *of).agg(pl.col("shares", "trades", "venues", "named", "pooled").sum())
    both = summed.with_columns(family=pl.lit(ALL, FAMILY)).select(of_kinds.columns)
    return (
        pl.concat([of_kinds, both])
        .with_columns(SQUARE)
        .with_columns(
            hhi_low=pl.when(pl.col("square") > 0).then(pl.col("named") / pl.col("square")),
            hhi_high=pl.when(pl.col("square") > 0).then((pl.col("named") + pl.col("pooled")) / pl.col("square")),
        )
    )
