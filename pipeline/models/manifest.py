"""Manifests, the records that a stage completed, and rejects, the lines of a payload that are not stored as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q

from pipeline.finra.sources.api import control_totals
from pipeline.models.capture import Capture
from pipeline.models.fields import ExactDecimalField

if TYPE_CHECKING:
    from pipeline.models.analytics import AnalyticsSnapshot
    from pipeline.models.run import Run


class Stage(models.TextChoices):
    """How far a partition or a week has come."""

    RAW = "RAW", "payload archived"
    NORMALIZED = "NORMALIZED", "rows typed, validated, stored"
    CALC = "CALC", "analytics of the week computed"


class Manifest(models.Model):
    """The record that a stage of a capture (RAW, NORMALIZED) or of a week's snapshot (CALC) completed.

    `checksum` is the payload hash for RAW, the content hash for NORMALIZED, the hash of the inputs for CALC. The control
    totals are the source's own (NORMALIZED, null where it gives none): rows by symbol, what they add up to, and for how many
    symbols the captured rows do not.
    """

    capture = models.ForeignKey(Capture, null=True, on_delete=models.CASCADE, related_name="manifests")
    snapshot: models.OneToOneField[AnalyticsSnapshot | None, AnalyticsSnapshot | None] = models.OneToOneField(
        "pipeline.AnalyticsSnapshot", null=True, on_delete=models.CASCADE, related_name="manifest"
    )
    stage = models.CharField(max_length=10, choices=Stage.choices)
    rows_in = models.BigIntegerField()
    rows_kept = models.BigIntegerField()
    rows_rejected = models.BigIntegerField()
    shares = ExactDecimalField()
    trades = models.BigIntegerField()
    control_symbols = models.PositiveIntegerField(null=True)
    control_shares = ExactDecimalField(null=True, places=control_totals.PLACES)
    control_trades = models.BigIntegerField(null=True)
    control_differing = models.PositiveIntegerField(null=True)
    checksum = models.CharField(max_length=64)
    duration = models.DurationField()
    completed_at = models.DateTimeField()
    run: models.ForeignKey[Run | None, Run | None] = models.ForeignKey(
        "pipeline.Run", null=True, on_delete=models.PROTECT, related_name="manifests"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint("capture", "stage", name="manifest_stage_once"),
            models.CheckConstraint(
                condition=Q(stage=Stage.CALC, snapshot__isnull=False, capture__isnull=True)
                | Q(stage__in=[Stage.RAW, Stage.NORMALIZED], snapshot__isnull=True, capture__isnull=False),
                name="manifest_of_a_capture_or_a_snapshot",
            ),
            models.CheckConstraint(condition=Q(trades__gte=0), name="manifest_trades_not_negative"),
            models.CheckConstraint(
                condition=Q(rows_in=F("rows_kept") + F("rows_rejected")), name="manifest_rows_accounted_for"
            ),
        )

    def __str__(self) -> str:
        return f"{self.stage} of {self.capture or self.snapshot}"


class Reject(models.Model):
    """A line of a payload that is not stored as a row: its part and number, the reason, and its text."""

    capture = models.ForeignKey(Capture, on_delete=models.CASCADE, related_name="rejects")
    part = models.CharField(max_length=20)
    line = models.PositiveIntegerField()
    reason = models.CharField(max_length=30)
    text = models.TextField()

    class Meta:
        ordering = ("capture", "part", "line")
        constraints = (models.UniqueConstraint("capture", "part", "line", name="reject_line_once"),)

    def __str__(self) -> str:
        return f"{self.part}:{self.line} {self.reason}"
