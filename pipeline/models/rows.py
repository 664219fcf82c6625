"""The rows: securities, venues, and the versions in which a row of a partition held."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from pipeline.models.analytics import VenueKind
from pipeline.models.fields import MicrosField
from pipeline.models.partition import Partition


class Security(models.Model):
    """A symbol under one issue name. Case counts (`ABRpD` is not `ABRPD`); both may be empty on a real row.

    A ticker reused by another issuer within a week is another security (finra.md, "Rows").
    """

    id = models.AutoField(primary_key=True)
    symbol = models.CharField(max_length=40, blank=True)
    issue_name = models.CharField(max_length=400, blank=True)

    class Meta:
        verbose_name_plural = "securities"
        constraints = (models.UniqueConstraint("symbol", "issue_name", name="security_key_unique"),)

    def __str__(self) -> str:
        return self.symbol or self.issue_name or "(no symbol)"


class Venue(models.Model):
    """An ATS, identified by its MPID, or a non-ATS firm, identified by its CRD number and name.

    The name of an ATS varies between FINRA's outputs: the one kept is that of the newest week (`named_in`) seen. The CRD
    number is empty where the source does not give it (the web file), and of an ATS but where its MPID stands under two.
    """

    id = models.AutoField(primary_key=True)
    kind = models.CharField(max_length=7, choices=VenueKind.choices)
    mpid = models.CharField(max_length=10, blank=True)
    crd = models.CharField(max_length=12, blank=True)
    name = models.CharField(max_length=400, blank=True)
    named_in = models.DateField()

    class Meta:
        constraints = (
            models.UniqueConstraint("mpid", "crd", condition=Q(kind=VenueKind.ATS), name="venue_ats_unique"),
            models.UniqueConstraint("crd", "name", condition=Q(kind=VenueKind.NON_ATS), name="venue_firm_unique"),
            models.CheckConstraint(
                condition=Q(kind=VenueKind.ATS) & ~Q(mpid="") | Q(kind=VenueKind.NON_ATS, mpid=""),
                name="venue_kind_and_mpid_agree",
            ),
        )

    def __str__(self) -> str:
        return self.mpid or self.name


class RowVersion(models.Model):
    """One row of a partition, with the range of versions in which it held; `last_version` is null while it is current.

    Written only by `pipeline.vintages`. One index in all, the primary key: indexes are what loading costs
    (docs/adr/0004). Foreign keys are not checked row by row: the store resolves the ids it writes in the same
    transaction. Triggers refuse version ranges of one key that overlap. `first_version` follows the key, so one
    partition's rows of one security lie together.
    """

    pk = models.CompositePrimaryKey("partition_id", "security_id", "venue_id", "product_type", "first_version")
    partition = models.ForeignKey(Partition, models.PROTECT, db_constraint=False, db_index=False, related_name="rows")
    security = models.ForeignKey(Security, models.PROTECT, db_constraint=False, db_index=False, related_name="rows")
    venue = models.ForeignKey(Venue, models.PROTECT, db_constraint=False, db_index=False, related_name="rows")
    first_version = models.IntegerField()
    last_version = models.IntegerField(null=True)
    last_update_date = models.DateField()
    shares = MicrosField(db_column="shares_micros")
    trades = models.BigIntegerField()
    notional = MicrosField(db_column="notional_micros", null=True)
    product_type = models.CharField(max_length=40, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(first_version__gte=1)
                & (Q(last_version__isnull=True) | Q(last_version__gte=F("first_version"))),
                name="row_versions_in_order",
            ),
            models.CheckConstraint(
                condition=Q(shares__gte=0) & Q(trades__gte=0) & (Q(notional__isnull=True) | Q(notional__gte=0)),
                name="row_figures_not_negative",
            ),
        )

    def __str__(self) -> str:
        return f"{self.pk}"
