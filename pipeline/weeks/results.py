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
    symbols.write(snapshot, inputs, figures.coded_symbols)
    snapshot.save(force_insert=True)
    snapshot.inputs.add(*inputs)
    VenueVolume.objects.bulk_create(VenueVolume(snapshot=snapshot, **row) for row in _rows(figures.venues))
    MarketConcentration.objects.bulk_create(
        MarketConcentration(snapshot=snapshot, **row) for row in _rows(figures.markets)
    )


def of_snapshot(snapshot: AnalyticsSnapshot) -> Figures:
    """The figures of a snapshot, as they were computed. VintageDamaged, StorageAway: of the file of the symbols."""
    of_symbols = symbols.of_snapshot(snapshot).select(SYMBOLS.names())
    with symbols.naming_damage(snapshot):
        stored = of_symbols.collect()
    return Figures(
        venues=venues_of([snapshot]).drop("week_ending"),
        markets=markets_of([snapshot]).drop("week_ending"),
        coded_symbols=stored,
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
