"""Retention: a plan that prunes some captures and keeps the others, each with its reason and its present state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import models
from django.db.models import Count, F, Min, Q, Sum
from django.utils import timezone

from pipeline.models.capture import Capture


class PlanState(models.TextChoices):
    """Where a plan stands."""

    PLANNED = "PLANNED", "shown, nothing is marked"
    MARKED = "MARKED", "marked: refused by as-of questions, removed when the undo window has passed"
    UNDONE = "UNDONE", "undone: nothing was removed"
    DONE = "DONE", "removed"


class EntryState(models.TextChoices):
    """The decision of a plan on a capture, and how far it has been carried out."""

    KEEP = "KEEP", "kept"
    PRUNE = "PRUNE", "to be pruned"
    MARKED = "MARKED", "marked"
    HELD = "HELD", "marked, and held by what has come up since"
    UNDONE = "UNDONE", "taken back"
    REMOVING = "REMOVING", "being removed"
    REMOVED = "REMOVED", "removed"


IN_WINDOW = (EntryState.MARKED, EntryState.HELD)
GONE = (EntryState.REMOVING, EntryState.REMOVED)


@dataclass(frozen=True, slots=True)
class Removals:
    """Marked captures that are not removed yet: their number and bytes, how many are held, when the first is removed."""

    captures: int
    held: int
    bytes: int
    first_at: datetime | None


class PrunePlan(models.Model):
    """The decisions of a policy on every capture at `made_at`. Nothing is marked before a person applies the plan.

    `policy` is a stored `pipeline.keeping.policy.Policy`. `digest` identifies the decisions: the plan is marked only while
    the ledger still leads to the same. `remove_after` ends the undo window. `unbacked_reason` says why no backup was needed.
    """

    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=150)
    policy = models.JSONField()
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=7, choices=PlanState.choices, default=PlanState.PLANNED)
    captures = models.PositiveIntegerField()
    prunable = models.PositiveIntegerField()
    prunable_bytes = models.PositiveBigIntegerField()
    marked_at = models.DateTimeField(null=True)
    marked_by = models.CharField(max_length=150, blank=True)
    remove_after = models.DateTimeField(null=True)
    unbacked_reason = models.TextField(blank=True)

    class Meta:
        ordering = ("-pk",)
        permissions = (("can_prune", "Can plan, mark and undo the pruning of captures"),)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=PlanState.values), name="prune_plan_state_known"),
            models.CheckConstraint(
                condition=Q(state=PlanState.PLANNED, marked_at__isnull=True, remove_after__isnull=True)
                | ~Q(state=PlanState.PLANNED) & Q(marked_at__isnull=False, remove_after__isnull=False),
                name="prune_plan_marked_has_a_window",
            ),
        )

    def __str__(self) -> str:
        return f"plan {self.pk}"


class PruneEntryQuerySet(models.QuerySet["PruneEntry"]):
    """Entries by their state."""

    def in_window(self) -> PruneEntryQuerySet:
        """Those that are marked and can still be undone."""
        return self.filter(state__in=IN_WINDOW)

    def of_pruned(self) -> PruneEntryQuerySet:
        """Those whose capture has no rows any more, or is marked to lose them."""
        return self.filter(state__in=(*IN_WINDOW, *GONE))

    def due(self, now: datetime) -> PruneEntryQuerySet:
        """Those whose window has passed, and those whose removal was cut short; in the order of partitions."""
        passed = Q(state__in=IN_WINDOW, plan__remove_after__lte=now)
        return self.filter(passed | Q(state=EntryState.REMOVING)).order_by("capture__partition", "capture__version")

    def removals(self) -> Removals:
        """The removals that lie ahead."""
        found = self.in_window().aggregate(
            captures=Count("pk"),
            held=Count("pk", filter=Q(state=EntryState.HELD)),
            size=Sum("bytes"),
            first=Min("plan__remove_after"),
        )
        return Removals(found["captures"], found["held"], found["size"] or 0, found["first"])


class PruneEntry(models.Model):
    """A plan's decision on one capture, its reason, and its state since `settled_at`.

    `bytes` are those that its removal frees: of the vintage file, and of the payload where `with_payload`. `files` are the
    paths that are being removed, or were. Only one plan at a time marks a capture.
    """

    plan = models.ForeignKey(PrunePlan, on_delete=models.CASCADE, related_name="entries")
    capture = models.ForeignKey(Capture, on_delete=models.PROTECT, related_name="prune_entries")
    state = models.CharField(max_length=8, choices=EntryState.choices)
    reason = models.TextField()
    with_payload = models.BooleanField(default=False)
    bytes = models.PositiveBigIntegerField(default=0)
    files = models.JSONField(default=list)
    settled_at = models.DateTimeField(default=timezone.now)

    objects = PruneEntryQuerySet.as_manager()

    class Meta:
        ordering = ("plan", "capture__partition", "capture__version")
        verbose_name_plural = "prune entries"
        constraints = (
            models.UniqueConstraint("plan", "capture", name="prune_entry_once"),
            models.UniqueConstraint(
                F("capture"), condition=Q(state__in=(*IN_WINDOW, EntryState.REMOVING)), name="prune_entry_marked_once"
            ),
            models.CheckConstraint(condition=Q(state__in=EntryState.values), name="prune_entry_state_known"),
        )

    def __str__(self) -> str:
        return f"{self.capture} in plan {self.plan_id}: {self.state}"
