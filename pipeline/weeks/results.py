"""A snapshot's figures: stored in the ledger and beside it, and read back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import polars as pl
from django.db import models

from pipeline.checkpoints import checkpoints
from pipeline.models import AnalyticsSnapshot, Capture, MarketConcentration, VenueVolume
from pipeline.weeks import symbols
from pipeline.weeks.concentration import MARKETS, SYMBOLS, VENUES, Figures


@checkpoints("snapshot.save")
def save(snapshot: AnalyticsSnapshot, inputs: Collection[Capture], figures: Figures) -> None:
    """Save a new snapshot and its figures, in the caller's transaction; the file of the symbols first."""
    symbols.write(snapshot, inputs, figures.symbols)
    snapshot.save(force_insert=True)
    snapshot.inputs.add(*inputs)
    VenueVolume.objects.bulk_create(_venue_volume(snapshot, row) for row in _rows(figures.venues))
    MarketConcentration.objects.bulk_create(_concentration(snapshot, row) for row in _rows(figures.markets))


def of_snapshot(snapshot: AnalyticsSnapshot) -> Figures:
    """The figures of a snapshot, as they were computed. VintageDamaged, StorageAway: of the file of the symbols."""
    of_symbols = symbols.of_snapshot(snapshot).select(SYMBOLS.names())
    with symbols.naming_damage(snapshot):
        stored = of_symbols.collect()
    return Figures(
        venues=venues_of([snapshot]).drop("week_ending"),
        markets=markets_of([snapshot]).drop("week_ending"),
        symbols=stored,
    )


def _venue_volume(snapshot: AnalyticsSnapshot, row: dict[str, Any]) -> VenueVolume:
    """A row of `concentration.VENUES`."""
    return VenueVolume(
        snapshot=snapshot,
        scope=row["scope"],
        venue_kind=row["venue_kind"],
        mpid=row["mpid"],
        crd=row["crd"],
        venue_name=row["venue_name"],
        shares=row["shares"],
        trades=row["trades"],
        symbols=row["symbols"],
        notional=row["notional"],
        average_trade_size=row["average_trade_size"],
        share=row["share"],
        rank=row["rank"],
        share_of_all=row["share_of_all"],
        rank_of_all=row["rank_of_all"],
    )


def _concentration(snapshot: AnalyticsSnapshot, row: dict[str, Any]) -> MarketConcentration:
    """A row of `concentration.MARKETS`."""
    return MarketConcentration(
        snapshot=snapshot,
        scope=row["scope"],
        family=row["family"],
        shares=row["shares"],
        trades=row["trades"],
        venues=row["venues"],
        hhi_low=row["hhi_low"],
        hhi_high=row["hhi_high"],
        symbols=row["symbols"],
    )


def venues_of(snapshots: Collection[AnalyticsSnapshot]) -> pl.DataFrame:
    """The venues of some snapshots: their week, and the columns of VENUES."""
    return _frame(VenueVolume.objects.filter(snapshot__in=snapshots), VENUES)


def markets_of(snapshots: Collection[AnalyticsSnapshot]) -> pl.DataFrame:
    """The markets of some snapshots: their week, and the columns of MARKETS."""
    return _frame(MarketConcentration.objects.filter(snapshot__in=snapshots), MARKETS)


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Each row under the names of the model's columns, which are those of the frame."""
    return frame.rows(named=True)


def _frame(stored: models.QuerySet[Any], schema: pl.Schema) -> pl.DataFrame:
    """Rows of the ledger in the order in which they were stored, with the week of their snapshot before them."""
    found = stored.order_by("pk").values_list("snapshot__week_ending", *schema.names())
    return pl.DataFrame(list(found), schema=pl.Schema({"week_ending": pl.Date(), **schema}), orient="row")
