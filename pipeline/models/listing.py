"""The listing: the state of a partition at its source when it was last fetched whole. A probe compares with it."""

from __future__ import annotations

from django.db import models

from pipeline.models.partition import Partition


class Listing(models.Model):
    """There were `rows`, and `updated` of them had the newest lastUpdateDate, `update_date`.

    With `with_totals`, the API's totals by symbol are counted, too. It is no part of a capture: a fetch that finds the same
    content makes no capture, and yet the totals may have moved.
    """

    partition = models.OneToOneField(Partition, on_delete=models.CASCADE, primary_key=True, related_name="listing")
    rows = models.PositiveIntegerField()
    update_date = models.DateField(null=True)
    updated = models.PositiveIntegerField()
    with_totals = models.BooleanField()

    def __str__(self) -> str:
        return f"{self.partition}: {self.rows:,} rows"
