"""The kind of data in a ledger: FINRA's data, or invented samples. Never both: its first capture decides."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from pipeline.finra.sources.base import MixedData

ONLY = 1


class DataKind(models.TextChoices):
    """Where the rows of captures come from."""

    REAL = "REAL", "FINRA's data"
    SAMPLES = "SAMPLES", "invented samples"


class LedgerKindManager(models.Manager["LedgerKind"]):
    """The one row."""

    def found(self) -> DataKind | None:
        """The kind of the ledger's data; None before its first capture."""
        kind = self.values_list("kind", flat=True).first()
        return DataKind(kind) if kind else None

    def admit(self, kind: DataKind) -> None:
        """MixedData when the ledger holds the other kind."""
        found = self.found()
        if found not in (None, kind):
            raise MixedData(REFUSALS[kind])

    def decide(self, kind: DataKind) -> None:
        """Decide with the first capture, in its transaction; MixedData when an earlier capture decided otherwise.

        Of two first captures at once, the second waits here for the first one's transaction.
        """
        decided, _ = self.get_or_create(pk=ONLY, defaults={"kind": kind})
        if decided.kind != kind:
            raise MixedData(REFUSALS[kind])


REFUSALS = {
    DataKind.SAMPLES: (
        "this ledger holds FINRA's data, and samples never go beside it: "
        "set MARKETSPINE_DEMO=1 to work on samples, in var/demo"
    ),
    DataKind.REAL: (
        "this ledger holds invented samples, and FINRA's data never goes beside them: unset MARKETSPINE_DEMO, or name "
        "an empty database and an empty archive (DATABASE_URL, MARKETSPINE_ARCHIVE_DIR)"
    ),
}


class LedgerKind(models.Model):
    """The kind of data that every capture of this ledger holds: one row, made with the first capture."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    kind = models.CharField(max_length=7, choices=DataKind.choices)

    objects = LedgerKindManager()

    class Meta:
        default_permissions = ()
        constraints = (
            models.CheckConstraint(condition=Q(id=ONLY), name="ledger_kind_is_one_row"),
            models.CheckConstraint(condition=Q(kind__in=DataKind.values), name="ledger_kind_known"),
        )

    def __str__(self) -> str:
        return self.get_kind_display()
