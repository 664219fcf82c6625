"""The anomaly: something a person may have to look at, open until someone resolves it with a note."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, TypedDict, Unpack

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils import timezone

from pipeline.finra.plain_text import storable
from pipeline.models.category import EVENTS, Category
from pipeline.models.event import Event, Occurrence
from pipeline.models.manifest import Stage
from pipeline.models.notice import Notice
from pipeline.models.partition import Partition
from pipeline.models.readiness import Readiness, Reason
from pipeline.models.severity import Severity
from pipeline.models.tally import Tally, TallyEntry

if TYPE_CHECKING:
    from pipeline.models.run import Run


logger = logging.getLogger(__name__)


MARK_LENGTH = 12
MARKETSPINE = "marketspine"  # in `resolved_by` of an anomaly that ended by itself


class NotOpen(Exception):
    """The anomaly was resolved by someone else meanwhile."""


class NotResolved(Exception):
    """The anomaly is open: there is nothing to reopen."""


class About(TypedDict, total=False):
    """What an anomaly is about."""

    partition: Partition | None
    week_ending: date | None
    stage: Stage | None
    run: Run | None
    payload_sha256: str


class AnomalyQuerySet(models.QuerySet["Anomaly"]):
    """Recording anomalies, and asking for the open ones."""

    def open(self) -> AnomalyQuerySet:
        """The unresolved ones."""
        return self.filter(resolved_at__isnull=True)

    def grave(self) -> AnomalyQuerySet:
        """Those that block their week: of ERROR or above."""
        return self.filter(severity__in=Severity.at_least(Severity.ERROR))

    def of_week(self, week_ending: date) -> AnomalyQuerySet:
        """Those of the week itself, of one of its partitions, or of all weeks."""
        everywhere = Q(week_ending__isnull=True, partition__isnull=True)
        return self.filter(everywhere | Q(week_ending=week_ending) | Q(partition__week_ending=week_ending))

    def record(self, category: Category, severity: Severity, message: str, **about: Unpack[About]) -> Anomaly:
        """Open an anomaly, or count another occurrence of an open one; a grave one blocks its week. People are told."""
        return self.record_each(Anomaly.of(category, severity, message, **about))[0]

    @transaction.atomic(savepoint=False)
    def record_each(self, *seen: Anomaly) -> list[Anomaly]:
        """As `record`, of several from `Anomaly.of`, no two of which are the same, in few statements."""
        if not seen:
            return []
        anomalies = self._recorded(seen)
        for anomaly in anomalies:
            anomaly.block_week()
        Notice.objects.open_each(*(anomaly.occurrence for anomaly in anomalies))
        return anomalies

    def _recorded(self, seen: Sequence[Anomaly]) -> list[Anomaly]:
        """Each of them, opened, or the open one with the same fingerprint, counted once more."""
        held = self._open_by_fingerprint(seen)
        new = [one for one in seen if one.fingerprint not in held]
        try:
            self._save_new(new)
        except IntegrityError:
            if not self._open_by_fingerprint(new):
                raise
            return self._recorded(seen)  # another process opened one of them a moment ago
        for one in new:
            logger.info("anomaly opened: %s %s %s", one.severity, one.category, one.place, extra=_named(one))
        return [self._counted(held[one.fingerprint], one) if one.fingerprint in held else one for one in seen]

    def _open_by_fingerprint(self, seen: Iterable[Anomaly]) -> dict[str, Anomaly]:
        same = self.open().filter(fingerprint__in=[one.fingerprint for one in seen])
        return {anomaly.fingerprint: anomaly for anomaly in same}

    def _save_new(self, anomalies: Collection[Anomaly]) -> None:
        """Insert all or none: a transaction goes on after an IntegrityError."""
        if anomalies:
            with transaction.atomic():
                self.bulk_create(anomalies)
                Tally.objects.add_each(
                    *(TallyEntry.of("anomalies", severity=one.severity, category=one.category) for one in anomalies)
                )

    def _counted(self, anomaly: Anomaly, seen: Anomaly) -> Anomaly:
        """An open anomaly, counted once more."""
        self.filter(pk=anomaly.pk).update(
            occurrences=F("occurrences") + 1,
            severity=seen.severity if seen.severity in Severity.at_least(anomaly.severity) else anomaly.severity,
            message=seen.message,
            payload_sha256=seen.payload_sha256,
            last_run=seen.last_run,
            last_seen_at=seen.last_seen_at,
        )
        anomaly.refresh_from_db()
        return anomaly


def _named(anomaly: Anomaly) -> dict[str, object]:
    """The anomaly's fields for the log; without its message, which may hold text of a payload."""
    named = {"event": "anomaly_opened", "severity": anomaly.severity, "category": anomaly.category}
    return {**named, "anomaly_id": anomaly.pk}


def _fingerprint(category: Category, place: object, stage: Stage | None, payload_sha256: str) -> str:
    """The identity of an anomaly, whatever its text. Each file of the archive is a place of its own.

    So is each silent restatement: taking the later of two back does not end the earlier one.
    """
    payload = payload_sha256 if category in (Category.ARCHIVE_DAMAGED, Category.RESTATED_SILENTLY) else ""
    return hashlib.sha256(f"{category}|{place}|{stage or ''}|{payload}".encode()).hexdigest()


class Anomaly(models.Model):
    """Something a person may have to look at.

    While it is open, another occurrence (the same category, partition or week, and stage; of a lost file or a silent
    restatement the same payload, too) is counted, and opens no second.
    `message`, `payload_sha256` (the archived payload that could not be captured, or that restated silently, or the file that
    the archive has lost) and `last_run` are of its newest occurrence, `run` is of its first, and `severity` is the gravest
    of all.
    """

    category = models.CharField(max_length=20, choices=Category.choices)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    message = models.TextField()
    partition = models.ForeignKey(Partition, null=True, on_delete=models.PROTECT, related_name="anomalies")
    week_ending = models.DateField(null=True)
    stage = models.CharField(max_length=10, choices=Stage.choices, blank=True)
    run: models.ForeignKey[Run | None, Run | None] = models.ForeignKey(
        "pipeline.Run", null=True, on_delete=models.PROTECT, related_name="anomalies"
    )
    last_run: models.ForeignKey[Run | None, Run | None] = models.ForeignKey(
        "pipeline.Run", null=True, on_delete=models.PROTECT, related_name="+"
    )
    payload_sha256 = models.CharField(max_length=64, blank=True)
    fingerprint = models.CharField(max_length=64)
    occurrences = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=150, blank=True)
    note = models.TextField(blank=True)

    objects = AnomalyQuerySet.as_manager()

    class Meta:
        ordering = ("-last_seen_at", "-pk")
        verbose_name_plural = "anomalies"
        permissions = (("can_resolve", "Can resolve and reopen an anomaly"),)
        constraints = (
            models.UniqueConstraint("fingerprint", condition=Q(resolved_at__isnull=True), name="anomaly_open_once"),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="anomaly_severity_known"),
            models.CheckConstraint(condition=Q(category__in=Category.values), name="anomaly_category_known"),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True) | ~Q(note="") & ~Q(resolved_by=""),
                name="anomaly_resolved_by_someone_with_a_note",
            ),
        )

    def __str__(self) -> str:
        return f"{self.severity} {self.category}: {self.message}"

    @classmethod
    def of(
        cls,
        category: Category,
        severity: Severity,
        message: str,
        *,
        partition: Partition | None = None,
        week_ending: date | None = None,
        stage: Stage | None = None,
        run: Run | None = None,
        payload_sha256: str = "",
    ) -> Anomaly:
        """An anomaly that is seen now, and is not saved yet."""
        now, place = timezone.now(), partition.pk if partition else week_ending
        return cls(
            fingerprint=_fingerprint(category, place, stage, payload_sha256),
            category=category,
            severity=severity,
            message=storable(message),
            partition=partition,
            week_ending=week_ending,
            stage=stage or "",
            run=run,
            last_run=run,
            payload_sha256=payload_sha256,
            first_seen_at=now,
            last_seen_at=now,
        )

    @property
    def concerns_week(self) -> date | None:
        """The week it concerns: its own, or its partition's; None for all weeks."""
        return self.partition.week_ending if self.partition else self.week_ending

    @property
    def weeks_concerned(self) -> list[date]:
        """The weeks to be judged again when it changes: its own, or all that were judged."""
        week = self.concerns_week
        return [week] if week else Readiness.objects.judged_weeks()

    @property
    def place(self) -> str:
        """Its subject for a person: a partition, a week, or all weeks."""
        return str(self.partition or self.week_ending or "all weeks")

    @property
    def sentence(self) -> str:
        """The anomaly for a person, with its place and its number."""
        return f"{self.place}: open {self.severity} anomaly {self.pk}, {self.category}: {self.message}"

    @property
    def reason(self) -> Reason:
        """The anomaly as a reason of a verdict."""
        return Reason(self.category, self.sentence)

    def block_week(self) -> None:
        """Block its week, where it is of ERROR or above."""
        week = self.concerns_week
        if week is not None and self.severity in Severity.at_least(Severity.ERROR):
            Readiness.objects.block(week, f"{self.category}: {self.message}", self.category)

    @property
    def occurrence(self) -> Occurrence:
        """The occurrence for a notice. A late partition has one notice, whoever finds it; any other anomaly has its own."""
        event = EVENTS.get(Category(self.category), Event.ANOMALY)
        return Occurrence(
            event=event,
            place=self.place,
            severity=Severity(self.severity),
            what=f"{self.get_category_display()}: {self.message}",
            advice=f"Anomaly {self.pk} says what to do next.",
            week_ending=self.concerns_week,
            tier=self.partition.tier if self.partition else "",
            category=self.category,
            run=self.last_run,
            mark="" if event is Event.LATE else self.fingerprint[:MARK_LENGTH],
        )

    @transaction.atomic
    def resolve(self, *, by: str, note: str) -> None:
        """Close it. `by` and `note` are required; NotOpen when it is not open any more."""
        if not by.strip() or not note.strip():
            raise ValueError("an anomaly is resolved by someone, with a note")
        changed = Anomaly.objects.open().filter(pk=self.pk)
        if not changed.update(resolved_at=timezone.now(), resolved_by=by.strip(), note=note.strip()):
            raise NotOpen(f"anomaly {self.pk} is not open")
        self.refresh_from_db()
        Notice.objects.close_keys([self.occurrence.key], f"{self.resolved_by}: {self.note}")

    @transaction.atomic
    def reopen(self) -> None:
        """Open it again, and block its week where it is grave; NotResolved when it is open, or the same is open anew."""
        resolved = Anomaly.objects.filter(pk=self.pk, resolved_at__isnull=False)
        if Anomaly.objects.open().filter(fingerprint=self.fingerprint).exists():
            raise NotResolved(f"anomaly {self.pk} is open, or the same has been seen again and is open")
        if not resolved.update(resolved_at=None, resolved_by="", note=""):
            raise NotResolved(f"anomaly {self.pk} is not resolved")
        self.refresh_from_db()
        self.block_week()
        Notice.objects.open(self.occurrence)
