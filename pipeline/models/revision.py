"""The revision: how much one vintage of a partition differs from another, kept so that years of them are read at once."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from pipeline.models.analytics import Family
from pipeline.models.capture import Capture
from pipeline.models.fields import ExactDecimalField


class Revision(models.Model):
    """The change from `base` to `capture`, two vintages of one partition, in a kind of venues or in both.

    The fields are those of `pipeline.vintages.measures.Measure`. They are derived from the two vintage files, and can be
    computed again.
    """

    capture = models.ForeignKey(Capture, models.CASCADE, db_index=False, related_name="revisions")
    base = models.ForeignKey(Capture, models.CASCADE, related_name="+")
    venue_kind = models.CharField(max_length=7, choices=Family.choices)
    shares_before = ExactDecimalField()
    shares_after = ExactDecimalField()
    shares_moved = ExactDecimalField()
    rows_before = models.PositiveIntegerField()
    rows_added = models.PositiveIntegerField()
    rows_changed = models.PositiveIntegerField()
    rows_removed = models.PositiveIntegerField()
    venues_moved = models.PositiveIntegerField()
    largest_share_move = models.FloatField()
    rank_changes = models.PositiveIntegerField()
    hhi_before = models.FloatField(null=True)
    hhi_after = models.FloatField(null=True)

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint("capture", "base", "venue_kind", name="revision_once"),
            models.CheckConstraint(condition=Q(venue_kind__in=Family.values), name="revision_kind_known"),
        )

    def __str__(self) -> str:
        return f"{self.base} -> {self.capture}: {self.venue_kind}"
