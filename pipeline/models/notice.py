"""The notice: an event at a place that people are told of, written in the transaction that makes it true.

Which channels are told, and when, is decided later, from these rows (`pipeline.notices`): they are the outbox.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils import timezone

from pipeline.finra.plain_text import storable
from pipeline.models.event import MOMENTARY, Event, Occurrence, key_of
from pipeline.models.partition import TIER_CHOICES
from pipeline.models.run import Run
from pipeline.models.severity import Severity

LONGEST_KEY, LONGEST_PLACE = 300, 200


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Writing notices, and finding those that channels have to be told of."""

    def unclosed(self) -> NoticeQuerySet:
        """Those of events that go on."""
        return self.filter(closed_at__isnull=True)

    def unrouted(self) -> NoticeQuerySet:
        """Those that have changed since the channels were last told, the oldest change first."""
        return self.filter(routed__lt=F("revision")).order_by("changed_at", "pk")

    def open(self, occurrence: Occurrence) -> Notice:
        """Write that an event has begun, or count another occurrence of an open notice."""
        return self.open_each(occurrence)[0]

    @transaction.atomic(savepoint=False)
    def open_each(self, *occurrences: Occurrence) -> list[Notice]:
        """As `open`, of several events, in few statements.

        Channels are told again only when one is graver than before.
        """
        if not occurrences:
            return []
        asked = {storable(occurrence.key, LONGEST_KEY): occurrence for occurrence in occurrences}
        held = self._unclosed_by_key(asked)
        new = {key: Notice(key=key, **_fields(occurrence)) for key, occurrence in asked.items() if key not in held}
        try:
            self._save_new(new.values())
        except IntegrityError:
            if not self._unclosed_by_key(new):
                raise
            return self.open_each(*occurrences)  # another process opened one of them a moment ago
        return [new[key] if key in new else self._counted(held[key], seen) for key, seen in asked.items()]

    def _unclosed_by_key(self, keys: Iterable[str]) -> dict[str, Notice]:
        return {notice.key: notice for notice in self.unclosed().filter(key__in=list(keys))}

    def _save_new(self, notices: Collection[Notice]) -> None:
        """Insert all or none: a transaction goes on after an IntegrityError."""
        if notices:
            with transaction.atomic():
                self.bulk_create(notices)

    def _counted(self, notice: Notice, occurrence: Occurrence) -> Notice:
        """An open notice, counted once more."""
        now = timezone.now()
        graver = Severity.is_graver(occurrence.severity, notice.severity)
        changes = {**_text(occurrence), "count": F("count") + 1, "seen_at": now}
        if graver:
            changes |= {"severity": occurrence.severity, "revision": F("revision") + 1, "changed_at": now}
        self.filter(pk=notice.pk).update(**changes)
        notice.refresh_from_db()
        return notice

    def close(self, event: Event, place: str, why: str, mark: str = "") -> int:
        """Write that an event is over, and why; how many notices that closed."""
        return self.close_keys([storable(key_of(event, place, mark), LONGEST_KEY)], why)

    def close_keys(self, keys: Iterable[str], why: str) -> int:
        """Close the notices with these keys."""
        now = timezone.now()
        return (
            self.unclosed()
            .filter(key__in=keys)
            .update(closed_at=now, closed_why=storable(why), revision=F("revision") + 1, changed_at=now)
        )

    def tell(self, *occurrences: Occurrence) -> list[Notice]:
        """Write pieces of news, which are over at once; those that were not written before."""
        news = {storable(occurrence.key, LONGEST_KEY): occurrence for occurrence in occurrences}
        told = set(self.filter(key__in=news).values_list("key", flat=True)) if news else set()
        return self.bulk_create(
            Notice(key=key, closed_at=timezone.now(), **_fields(occurrence))
            for key, occurrence in news.items()
            if key not in told
        )


def _fields(occurrence: Occurrence) -> dict[str, object]:
    now = timezone.now()
    return {
        **_text(occurrence),
        "event": occurrence.event,
        "place": storable(occurrence.place, LONGEST_PLACE),
        "severity": occurrence.severity,
        "week_ending": occurrence.week_ending,
        "tier": occurrence.tier,
        "use": occurrence.use,
        "category": occurrence.category,
        "rows": occurrence.rows,
        "opened_at": now,
        "seen_at": now,
        "changed_at": now,
    }


def _text(occurrence: Occurrence) -> dict[str, object]:
    """The fields that each occurrence writes anew."""
    return {"what": storable(occurrence.what), "advice": storable(occurrence.advice), "run": occurrence.run}


class Notice(models.Model):
    """An event at a place, open until it is over. Further occurrences while it is open are counted.

    `what`, `advice` and `run` are of its newest occurrence, `severity` is the gravest. `revision` counts the changes that
    channels have to be told (opened, graver, over); `routed` is the revision up to which they have been.
    """

    key = models.CharField(max_length=LONGEST_KEY)
    event = models.CharField(max_length=20, choices=Event.choices)
    place = models.CharField(max_length=LONGEST_PLACE)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    what = models.TextField()
    advice = models.TextField(blank=True)
    week_ending = models.DateField(null=True)
    tier = models.CharField(max_length=10, choices=TIER_CHOICES, blank=True)
    use = models.CharField(max_length=10, blank=True)
    category = models.CharField(max_length=20, blank=True)
    run: models.ForeignKey[Run | None, Run | None] = models.ForeignKey(
        "pipeline.Run", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    rows = models.PositiveIntegerField(null=True)
    opened_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_why = models.TextField(blank=True)
    count = models.PositiveIntegerField(default=1)
    revision = models.PositiveIntegerField(default=1)
    routed = models.PositiveIntegerField(default=0)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ("-changed_at", "-pk")
        constraints = (
            models.UniqueConstraint("key", condition=Q(closed_at__isnull=True), name="notice_open_once"),
            models.CheckConstraint(condition=Q(event__in=Event.values), name="notice_event_known"),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="notice_severity_known"),
        )
        indexes = (
            models.Index(fields=("key",), name="notice_by_key"),
            models.Index(fields=("changed_at",), condition=Q(routed__lt=F("revision")), name="notice_unrouted"),
        )

    def __str__(self) -> str:
        return f"{self.event_name}: {self.place}"

    @property
    def event_name(self) -> str:
        """The event as a subject has it: "Schedule missed"."""
        return self.event.replace("_", " ").capitalize()

    @property
    def is_momentary(self) -> bool:
        """Whether it is news that was over at once."""
        return self.event in MOMENTARY

    @property
    def is_over(self) -> bool:
        """Whether something that went on has ended."""
        return self.closed_at is not None and not self.is_momentary
