"""Pruning captures: plan, mark, undo, and remove the captures that are due."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.keeping import marking, plans, removal
from pipeline.keeping.marking import CannotPrune
from pipeline.keeping.policy import Policy
from pipeline.keeping.removal import Removed
from pipeline.models import Act, EntryState, OperatorLogEntry, PrunePlan
from pipeline.operations.orders import ActResult, Order, Refused, carry_out, write_down


def plan_pruning(policy: Policy, order: Order) -> PrunePlan:
    """Store a plan: the captures that the policy would prune now, and why it keeps the others. Nothing is marked."""
    plan = plans.store(plans.outline(policy), order.operator)
    write_down(Act.PRUNE_PLAN, order, [plan], f"{plan}: {counted(plan)}. It asks for {policy.sentence()}.")
    return plan


def counted(plan: PrunePlan) -> str:
    """The size of a plan, in words."""
    return f"{plan.prunable:,} of {plan.captures:,} captures are to be pruned, {plan.prunable_bytes:,} bytes"


def mark_pruned(
    plan: PrunePlan, order: Order, *, count: int | None = None, unbacked_reason: str = ""
) -> OperatorLogEntry:
    """Mark the captures that a plan prunes. Refused as `marking.mark` refuses."""

    def work() -> ActResult:
        order.with_reason()
        try:
            marked = marking.mark(plan, order.operator, count=count, unbacked_reason=unbacked_reason)
        except CannotPrune as error:
            raise Refused(str(error)) from error
        unbacked = f" Without a backup: {unbacked_reason.strip()}." if unbacked_reason.strip() else ""
        told = f"{plan}: {marked.prunable:,} captures are marked (digest {marked.digest[:12]})."
        return ActResult(f"{told} They can be taken back until {marked.remove_after:%Y-%m-%d %H:%M} UTC.{unbacked}")

    return carry_out(Act.PRUNE_MARK, order, [plan], work)


def undo_pruning(plan: PrunePlan, order: Order) -> OperatorLogEntry:
    """Take back the captures that a plan has marked and that are not removed yet. Refused where there are none."""

    def work() -> ActResult:
        order.with_reason()
        try:
            number = marking.undo(plan)
        except CannotPrune as error:
            raise Refused(str(error)) from error
        return ActResult(f"{plan}: {number:,} captures are taken back.")

    return carry_out(Act.PRUNE_UNDO, order, [plan], work)


def remove_pruned(order: Order) -> Iterator[Removed]:
    """Remove the captures that are due, one after the other; the log has those removed, also after a stop midway."""
    found: list[Removed] = []
    try:
        for one in removal.remove_due():
            found.append(one)
            yield one
    finally:
        if found:
            removed = [one.capture for one in found if one.state == EntryState.REMOVED]
            freed = sum(one.bytes for one in found)
            told = f"{len(removed):,} removed, {len(found) - len(removed):,} held, {freed:,} bytes freed"
            numbers = ", ".join(f"plan {number}" for number in sorted({one.plan for one in found}))
            write_down(Act.PRUNE_REMOVE, order, removed, f"{told} ({numbers}).")
