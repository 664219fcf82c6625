"""The capture: one vintage of a partition, numbered within it, never changed or removed by ingest."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.rows import ATS, NON_ATS
from pipeline.models.fields import ExactDecimalField
from pipeline.models.partition import Partition

if TYPE_CHECKING:
    from pipeline.models.run import Run

DOMAIN = "finra.otc_transparency"


class CaptureKind(models.TextChoices):
    """Why a capture was made."""

    FIRST = "FIRST", "first capture"
    RESTATEMENT = "RESTATEMENT", "restatement"
    FORCED = "FORCED", "forced by an operator"
    REPARSED = "REPARSED", "the archived payload, read by a newer parser"
    ANNULMENT = "ANNULMENT", "an operator took the capture before it back"
    EVIDENCE = "EVIDENCE", "the rows that are held, whose payload the archive has lost"


class Cause(models.TextChoices):
    """The cause of a capture's rows, by which readers of the feed tell FINRA's restatements from our own acts."""

    SOURCE = "SOURCE", "the source published it"
    PARSER = "PARSER", "a newer parser read the same payload"
    FORCED = "FORCED", "an operator forced it"
    ANNULLED = "ANNULLED", "an operator took a capture back"


class CaptureQuerySet(models.QuerySet["Capture"]):
    """Captures by their stage."""

    def normalized(self) -> CaptureQuerySet:
        """Those whose rows are stored."""
        return self.filter(normalized_at__isnull=False)

    def of_partition(self, key: PartitionKey) -> CaptureQuerySet:
        """Those of one partition."""
        return self.filter(partition__week_ending=key.week_ending, partition__tier=key.tier)

    def newest(self) -> CaptureQuerySet:
        """The newest of each partition, whether its rows are stored or not."""
        return self.filter(version=F("partition__newest_version"))

    def newest_by_key(self, weeks: Collection[date]) -> dict[PartitionKey, Capture]:
        """The newest capture of each partition of `weeks` that has one."""
        newest = self.newest().filter(partition__week_ending__in=weeks).select_related("partition")
        return {capture.partition.key: capture for capture in newest}

    def standing(self) -> CaptureQuerySet:
        """Those that no operator has taken back, less the annulments themselves."""
        return self.filter(annulled_by__isnull=True).exclude(kind=CaptureKind.ANNULMENT)

    def with_payload(self) -> CaptureQuerySet:
        """Those whose payload the archive ought to have: retention has not removed it, and no operator gave it up."""
        marked = self.model.objects.filter(prune_entries__state__in=("MARKED", "HELD", "REMOVING", "REMOVED"))
        without = self.model.objects.filter(
            prune_entries__state__in=("REMOVING", "REMOVED"), prune_entries__with_payload=True
        )
        kept = self.filter(Q(pruned_at__isnull=True) | Q(pk__in=marked.values("pk")))
        return kept.exclude(pk__in=without.values("pk"))

    def awaiting_normalization(self) -> CaptureQuerySet:
        """Those whose payload is archived and whose rows are not stored yet (nor given up), oldest first."""
        return self.filter(normalized_at__isnull=True, pruned_at__isnull=True).order_by("partition_id", "version")


class Capture(models.Model):
    """One vintage of a partition.

    `captured_on` is the run's day (America/New_York), which names the capture; `captured_at` the instant it was
    made; `normalized_at` the instant since which its rows are known, by which as-of questions choose (null while only
    its payload is archived). `shares` is the sum over all rows kept, `shares_non_ats` over those of non-ATS firms.
    Row counts added / changed / removed / unchanged compare with the vintage before it.

    `vintage_path`, `vintage_bytes` and `vintage_sha256` name the file that holds its rows, `rows_kept` of them; they are
    empty while only its payload is archived, and stay when retention has removed the file. `position` is its place in the
    feed of captures (`FeedCounter`), given when its rows become known.

    A capture that an operator takes back stays. A capture of kind ANNULMENT follows it, has the rows of an earlier one and
    names it in `annuls`: so as-of answers stay the same, and the feed tells of it.
    """

    partition = models.ForeignKey(Partition, on_delete=models.PROTECT, related_name="captures")
    version = models.PositiveIntegerField()
    capture_id = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=11, choices=CaptureKind.choices)
    cause = models.CharField(max_length=8, choices=Cause.choices)
    reason = models.TextField()
    requested_by = models.CharField(max_length=150, blank=True)
    request_reason = models.TextField(blank=True)
    captured_on = models.DateField()
    captured_at = models.DateTimeField()
    normalized_at = models.DateTimeField(null=True)
    position = models.PositiveBigIntegerField(null=True, unique=True)
    pruned_at = models.DateTimeField(null=True)
    pinned = models.BooleanField(default=False)
    pin_note = models.TextField(blank=True)
    run: models.ForeignKey[Run | None, Run | None] = models.ForeignKey(
        "pipeline.Run", null=True, on_delete=models.PROTECT, related_name="captures"
    )

    annuls: models.OneToOneField[Capture | None, Capture | None] = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="annulled_by"
    )

    source = models.CharField(max_length=20)
    payload_uri = models.CharField(max_length=500)
    payload_format = models.CharField(max_length=20)
    payload_sha256 = models.CharField(max_length=64)
    payload_bytes = models.BigIntegerField()
    source_updated_at = models.DateTimeField(null=True)
    last_update_date = models.DateField(null=True)
    source_opinion = models.CharField(max_length=10, blank=True)

    parser_version = models.PositiveSmallIntegerField()
    content_hash = models.CharField(max_length=64)
    rows_in = models.PositiveIntegerField()
    rows_kept = models.PositiveIntegerField()
    rows_rejected = models.PositiveIntegerField()
    rows_non_ats = models.PositiveIntegerField()
    shares = ExactDecimalField()
    shares_non_ats = ExactDecimalField()
    trades = models.BigIntegerField()
    rows_added = models.PositiveIntegerField(null=True)
    rows_changed = models.PositiveIntegerField(null=True)
    rows_removed = models.PositiveIntegerField(null=True)
    rows_unchanged = models.PositiveIntegerField(null=True)
    vintage_path = models.CharField(max_length=200, blank=True)
    vintage_bytes = models.PositiveBigIntegerField(null=True)
    vintage_sha256 = models.CharField(max_length=64, blank=True)

    objects = CaptureQuerySet.as_manager()

    class Meta:
        ordering = ("partition", "-version")
        permissions = (("can_pin", "Can pin and unpin a capture"),)
        constraints = (
            models.UniqueConstraint("partition", "version", name="capture_version_unique"),
            models.CheckConstraint(condition=Q(version__gte=1), name="capture_version_from_1"),
            models.CheckConstraint(condition=Q(kind__in=CaptureKind.values), name="capture_kind_known"),
            models.CheckConstraint(condition=Q(cause__in=Cause.values), name="capture_cause_known"),
            models.CheckConstraint(
                condition=Q(kind=CaptureKind.ANNULMENT, cause=Cause.ANNULLED, annuls__isnull=False)
                | ~Q(kind=CaptureKind.ANNULMENT) & ~Q(cause=Cause.ANNULLED) & Q(annuls__isnull=True),
                name="capture_annulment_names_what_it_takes_back",
            ),
            models.CheckConstraint(
                condition=Q(rows_in=F("rows_kept") + F("rows_rejected")), name="capture_rows_accounted_for"
            ),
            models.CheckConstraint(condition=Q(rows_non_ats__lte=F("rows_kept")), name="capture_non_ats_rows_are_kept"),
            models.CheckConstraint(condition=Q(trades__gte=0), name="capture_trades_not_negative"),
            models.CheckConstraint(
                condition=Q(normalized_at__isnull=True, rows_added__isnull=True)
                | Q(normalized_at__isnull=False, rows_added__isnull=False, rows_changed__isnull=False)
                & Q(rows_removed__isnull=False, rows_unchanged__isnull=False)
                & Q(rows_kept=F("rows_added") + F("rows_changed") + F("rows_unchanged")),
                name="capture_counts_when_normalized",
            ),
            models.CheckConstraint(
                condition=Q(normalized_at__isnull=True, position__isnull=True, vintage_bytes__isnull=True)
                & Q(vintage_path="", vintage_sha256="")
                | Q(normalized_at__isnull=False, position__isnull=False, vintage_bytes__isnull=False)
                & ~Q(vintage_path="")
                & ~Q(vintage_sha256=""),
                name="capture_vintage_file_when_normalized",
            ),
        )

    def __str__(self) -> str:
        return self.capture_id

    @property
    def annulment(self) -> Capture | None:
        """The capture by which an operator took this one back; None where it stands."""
        return Capture.objects.filter(annuls=self).first()

    @property
    def venue_kinds(self) -> tuple[str, ...]:
        """The kinds of venues that it has rows of: of another one nothing is known."""
        has = {ATS: self.rows_kept > self.rows_non_ats, NON_ATS: self.rows_non_ats > 0}
        return tuple(kind for kind, is_held in has.items() if is_held)

    @property
    def rows_touched(self) -> int:
        """How many rows it added, changed or removed; 0 while its rows are not stored."""
        return (self.rows_added or 0) + (self.rows_changed or 0) + (self.rows_removed or 0)


def capture_id_for(key: PartitionKey, day: date, nth: int) -> str:
    """`finra.otc_transparency:{tier}:{week_ending}:{YYYYMMDD}` of the nth capture of a partition on `day`.

    The first has no suffix, later ones of the same day `.2`, `.3`, ...
    """
    base = f"{DOMAIN}:{key.tier}:{key.week_ending}:{day:%Y%m%d}"
    return base if nth == 1 else f"{base}.{nth}"
