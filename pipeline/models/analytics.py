"""Analytics snapshots: one week's results, with the captures and the version of the calculation they came from."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from pipeline.finra.calendar import Tier
from pipeline.models.capture import Capture
from pipeline.models.fields import ExactDecimalField

ALL_TIERS = "ALL"
HHI_POINTS = 10_000  # HHI is kept on 0-1; antitrust authorities write it in points
SCOPE_CHOICES = [*((tier.value, tier.value) for tier in Tier), (ALL_TIERS, "all tiers")]
SCOPES = [scope for scope, _ in SCOPE_CHOICES]


class VenueKind(models.TextChoices):
    """Alternative trading systems, and firms that trade off-exchange without one."""

    ATS = "ATS", "ATS"
    NON_ATS = "NON_ATS", "non-ATS"


class Family(models.TextChoices):
    """The volume that a figure is taken over."""

    ATS = "ATS", "ATS"
    NON_ATS = "NON_ATS", "non-ATS"
    ALL = "ALL", "ATS and non-ATS"


class AnalyticsSnapshot(models.Model):
    """One week's result set. The same inputs and calculation version never make a second one; older ones stay.

    `symbols_path`, `symbols_bytes` and `symbols_sha256` name the Parquet file with the concentration of each symbol.
    """

    week_ending = models.DateField()
    sequence = models.PositiveIntegerField()
    calculation_version = models.PositiveSmallIntegerField()
    inputs_hash = models.CharField(max_length=64)
    inputs = models.ManyToManyField(Capture, related_name="snapshots")
    computed_at = models.DateTimeField()
    symbols_path = models.CharField(max_length=200)
    symbols_bytes = models.PositiveBigIntegerField()
    symbols_sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ("-week_ending", "-sequence")
        constraints = (
            models.UniqueConstraint("week_ending", "sequence", name="snapshot_sequence_unique"),
            models.UniqueConstraint(
                "week_ending", "inputs_hash", "calculation_version", name="snapshot_of_the_same_inputs_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.week_ending} snapshot {self.sequence}"


class VenueVolume(models.Model):
    """A venue's week, within a tier or over all tiers.

    An ATS has an MPID; a non-ATS firm has none, and its name tells it from others. `crd` and the name are as the rows have
    them: the web file gives no CRD number.
    `share` (0-1) and `rank` are within the venue's own kind; `share_of_all` and `rank_of_all` within ATS + non-ATS
    off-exchange volume, null where only one kind is captured. Shares are of *off-exchange* volume, not of the market.
    """

    snapshot = models.ForeignKey(AnalyticsSnapshot, models.CASCADE, db_index=False, related_name="venue_volumes")
    scope = models.CharField(max_length=10, choices=SCOPE_CHOICES)
    venue_kind = models.CharField(max_length=7, choices=VenueKind.choices)
    mpid = models.CharField(max_length=10, blank=True)
    crd = models.CharField(max_length=12, blank=True)
    venue_name = models.CharField(max_length=400, blank=True)
    shares = ExactDecimalField()
    trades = models.BigIntegerField()
    symbols = models.PositiveIntegerField()
    notional = ExactDecimalField(null=True)
    average_trade_size = models.FloatField(null=True)
    share = models.FloatField(null=True)
    rank = models.PositiveIntegerField()
    share_of_all = models.FloatField(null=True)
    rank_of_all = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ("snapshot", "scope", "rank")
        constraints = (
            models.UniqueConstraint(
                "snapshot", "scope", "venue_kind", "mpid", "crd", "venue_name", name="venue_volume_once"
            ),
            models.CheckConstraint(
                condition=Q(venue_kind=VenueKind.ATS) & ~Q(mpid="") | Q(venue_kind=VenueKind.NON_ATS, mpid=""),
                name="venue_volume_kind_and_mpid_agree",
            ),
            models.CheckConstraint(condition=Q(scope__in=SCOPES, trades__gte=0), name="venue_volume_in_bounds"),
        )

    def __str__(self) -> str:
        return f"{self.venue} {self.scope}"

    @property
    def venue(self) -> str:
        """The MPID of an ATS, the name of a firm."""
        return self.mpid or self.venue_name


class MarketConcentration(models.Model):
    """The concentration of a tier's, or of all tiers', volume over venues: HHI on 0-1 (times HHI_POINTS).

    `hhi_low` and `hhi_high` are equal but where the De Minimis pool takes part: there HHI is an interval, from the pool
    being infinitely many firms (it counts in the total only) to the pool being one firm. Null without volume.
    """

    snapshot = models.ForeignKey(AnalyticsSnapshot, models.CASCADE, db_index=False, related_name="markets")
    scope = models.CharField(max_length=10, choices=SCOPE_CHOICES)
    family = models.CharField(max_length=7, choices=Family.choices)
    shares = ExactDecimalField()
    trades = models.BigIntegerField()
    venues = models.PositiveIntegerField()
    hhi_low = models.FloatField(null=True)
    hhi_high = models.FloatField(null=True)
    symbols = models.PositiveIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint("snapshot", "scope", "family", name="market_concentration_once"),
            models.CheckConstraint(
                condition=Q(hhi_low__isnull=True, hhi_high__isnull=True)
                | Q(hhi_low__isnull=False, hhi_high__isnull=False, hhi_low__gte=0, hhi_low__lte=F("hhi_high")),
                name="market_hhi_interval",
            ),
            models.CheckConstraint(
                condition=Q(scope__in=SCOPES, family__in=Family.values, trades__gte=0),
                name="market_concentration_in_bounds",
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} {self.family}"
