"""Marking the captures that a plan prunes, and undoing that: one transaction each, under the locks of the partitions.

A marked capture still has its files. As-of questions that it would answer are refused, and lists say that it is pruned.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from pipeline.keeping import facts, plans
from pipeline.models import Backup, Capture, EntryState, Partition, PlanState, PruneEntry, PrunePlan
from pipeline.models.pruning import GONE, IN_WINDOW

WINDOW = timedelta(days=14)
FRESH = timedelta(days=7)


class CannotPrune(Exception):
    """A plan cannot be marked or undone; the message says why. Nothing was changed."""


@transaction.atomic
def mark(plan: PrunePlan, by: str, *, count: int | None = None, unbacked_reason: str = "") -> PrunePlan:
    """Mark the captures that a plan prunes, and begin its undo window.

    CannotPrune where the ledger has changed and leads to another plan, where no backup is younger than a week and no reason
    is given, where the plan is large and `count` is not the number that it prunes, and where there is nothing to mark.
    """
    plan = PrunePlan.objects.select_for_update().get(pk=plan.pk)
    if plan.state != PlanState.PLANNED:
        raise CannotPrune(f"{plan} is {plan.state} already")
    if not plan.prunable:
        raise CannotPrune(f"{plan} prunes nothing")
    _check_size(plan, count)
    check_backup(unbacked_reason)
    captures = list(plan.entries.filter(state=EntryState.PRUNE).values_list("capture_id", flat=True))
    lock(captures)
    if plans.again(plan).digest != plan.digest:
        raise CannotPrune(
            f"the ledger has changed since {plan} was made, and it would prune other captures: plan again"
        )
    now = timezone.now()
    plan.entries.filter(state=EntryState.PRUNE).update(state=EntryState.MARKED, settled_at=now)
    unpinned = Capture.objects.filter(pk__in=captures, pinned=False)
    if unpinned.update(pruned_at=Coalesce("pruned_at", now)) != len(captures):
        raise CannotPrune(f"a capture of {plan} was pinned just now: plan again")
    plan.state, plan.marked_at, plan.marked_by = PlanState.MARKED, now, by
    plan.remove_after, plan.unbacked_reason = now + WINDOW, unbacked_reason
    plan.save()
    return plan


def _check_size(plan: PrunePlan, count: int | None) -> None:
    large = plans.large_because(plan)
    if large and count != plan.prunable:
        raise CannotPrune(f"{plan} is large, {large}: say how many captures it prunes, {plan.prunable:,}")


def check_backup(unbacked_reason: str) -> None:
    """CannotPrune where no backup is younger than a week and no reason is given to go without."""
    age = Backup.objects.age(timezone.now())
    if not unbacked_reason.strip() and (age is None or age > FRESH):
        how = "there is no backup" if age is None else f"the newest backup is {age.days} days old"
        raise CannotPrune(f"{how}: make one first, or say why none is needed")


def lock(captures: Collection[int]) -> None:
    """Lock the partitions until the transaction ends: meanwhile none gets a capture, a snapshot or a pin."""
    concerned = Partition.objects.filter(pk__in=facts.partitions_of(captures)).order_by("pk")
    list(concerned.select_for_update(of=("self",), no_key=True))


@transaction.atomic
def undo(plan: PrunePlan) -> int:
    """Take back a plan's marked captures that are not removed yet; how many. CannotPrune where there are none."""
    plan = PrunePlan.objects.select_for_update().get(pk=plan.pk)
    marked = list(PruneEntry.objects.in_window().filter(plan=plan))
    if not marked:
        raise CannotPrune(f"{plan} has nothing marked: what was removed comes back from a backup only")
    _take_back(marked)
    settle(plan)
    return len(marked)


@transaction.atomic
def rescue(capture: Capture) -> int | None:
    """Take back one marked capture; the number of its plan, None where it is not marked."""
    marked = list(PruneEntry.objects.in_window().filter(capture=capture))
    if not marked:
        return None
    _take_back(marked)
    settle(marked[0].plan)
    return marked[0].plan_id


def _take_back(marked: Collection[PruneEntry]) -> None:
    """Undo the marks. Where an earlier plan removed the rows, and this one only marked the payload, they stay gone."""
    captures = {entry.capture_id for entry in marked}
    lock(captures)
    gone = PruneEntry.objects.filter(capture__in=captures, state__in=GONE).values_list("capture_id", flat=True)
    PruneEntry.objects.filter(pk__in=[entry.pk for entry in marked], state__in=IN_WINDOW).update(
        state=EntryState.UNDONE, settled_at=timezone.now()
    )
    Capture.objects.filter(pk__in=captures - set(gone)).update(pruned_at=None)


def settle(plan: PrunePlan) -> None:
    """Close a plan once none of its captures is marked or being removed any more."""
    open_ = plan.entries.filter(state__in=(*IN_WINDOW, EntryState.REMOVING))
    if not open_.exists():
        removed = plan.entries.filter(state=EntryState.REMOVED).exists()
        PrunePlan.objects.filter(pk=plan.pk).update(state=PlanState.DONE if removed else PlanState.UNDONE)
