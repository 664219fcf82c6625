"""The stored plan: a policy's decision on every capture. It is marked only while the ledger still leads to the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from pipeline.keeping import facts, policy
from pipeline.keeping.policy import Decision, Policy
from pipeline.models import AnalyticsSnapshot, Capture, EntryState, PruneEntry, PrunePlan
from pipeline.models.pruning import GONE
from pipeline.vintages import archive

AT_ONCE = 500
LARGE_SHARE, LARGE_PARTITIONS, LARGE_BYTES = 0.25, 50, 10 * 2**30


@dataclass(frozen=True, slots=True)
class Outline:
    """A policy's decision on each capture, and the bytes that pruning each would free."""

    policy: Policy
    at: datetime
    decisions: tuple[Decision, ...]
    bytes: Mapping[int, int]

    @property
    def pruned(self) -> list[Decision]:
        """The decisions to prune."""
        return [decision for decision in self.decisions if decision.is_pruned]

    @property
    def digest(self) -> str:
        """The hash of the policy and the captures that it prunes."""
        captures = sorted(decision.capture for decision in self.pruned)
        return hashlib.sha256(json.dumps([self.policy.stored(), captures], sort_keys=True).encode()).hexdigest()


def outline(
    of: Policy, at: datetime | None = None, partitions: Collection[int] | None = None, plan: int | None = None
) -> Outline:
    """The outline of a policy, at an instant or now, for all partitions or some. Reads only."""
    at = at or timezone.now()
    held = facts.vintages(of, at, partitions, plan)
    decisions = tuple(decision for ones in held.values() for decision in policy.decide(ones, of, at))
    pruned = [decision.capture for decision in decisions if decision.is_pruned]
    return Outline(of, at, decisions, dict(_freed(pruned, of)))


def _freed(captures: Collection[int], of: Policy) -> Iterator[tuple[int, int]]:
    """The bytes that the removal of each frees: of the vintage file if it is there, and of the payload as fetched."""
    removed = set(PruneEntry.objects.filter(state__in=GONE).values_list("capture_id", flat=True))
    kept_payloads = _payloads_of_others(captures) if of.payloads else set()
    sizes = Capture.objects.filter(pk__in=captures).values_list(
        "pk", "vintage_bytes", "payload_bytes", "payload_sha256"
    )
    for pk, vintage, payload, sha256 in sizes:
        of_payload = payload if of.payloads and sha256 not in kept_payloads else 0
        yield pk, (0 if pk in removed else vintage or 0) + of_payload


def _payloads_of_others(captures: Collection[int]) -> set[str]:
    """The payloads of other captures, which stay."""
    return set(Capture.objects.exclude(pk__in=captures).values_list("payload_sha256", flat=True))


@transaction.atomic
def store(found: Outline, by: str) -> PrunePlan:
    """Write a plan down, with the reason for each capture. Nothing is marked."""
    plan = PrunePlan.objects.create(
        made_at=found.at,
        made_by=by,
        policy=found.policy.stored(),
        digest=found.digest,
        captures=len(found.decisions),
        prunable=len(found.pruned),
        prunable_bytes=sum(found.bytes.values()),
    )
    PruneEntry.objects.bulk_create(_entries(plan, found), AT_ONCE)
    return plan


def _entries(plan: PrunePlan, found: Outline) -> Iterator[PruneEntry]:
    going = snapshots_going(decision.capture for decision in found.pruned)
    for decision in found.decisions:
        names = ", ".join(str(snapshot) for snapshot in going.get(decision.capture, ()))
        yield PruneEntry(
            plan=plan,
            capture_id=decision.capture,
            state=EntryState.PRUNE if decision.is_pruned else EntryState.KEEP,
            reason=f"{decision.reason}; with it goes {names}" if names else decision.reason,
            with_payload=found.policy.payloads,
            bytes=found.bytes.get(decision.capture, 0),
            settled_at=found.at,
        )


def snapshots_going(captures: Iterable[int]) -> dict[int, list[AnalyticsSnapshot]]:
    """The snapshots that were computed from captures that go, by capture: they go, too."""
    found: dict[int, list[AnalyticsSnapshot]] = {}
    through = AnalyticsSnapshot.inputs.through.objects.filter(capture__in=list(captures))
    for one in through.select_related("analyticssnapshot").order_by("analyticssnapshot"):
        found.setdefault(one.capture_id, []).append(one.analyticssnapshot)
    return found


def again(plan: PrunePlan) -> Outline:
    """The outline of the plan's policy at the plan's instant, from the present ledger."""
    return outline(Policy.read(plan.policy), plan.made_at)


def large_because(plan: PrunePlan) -> str:
    """Why a person has to confirm the number of captures of a plan; empty for a small plan."""
    partitions = len(
        facts.partitions_of(plan.entries.filter(state=EntryState.PRUNE).values_list("capture_id", flat=True))
    )
    if plan.prunable > LARGE_SHARE * plan.captures:
        return f"it prunes more than {LARGE_SHARE:.0%} of all captures"
    if partitions > LARGE_PARTITIONS:
        return f"it prunes captures of {partitions} partitions"
    return f"it frees {plan.prunable_bytes:,} bytes" if plan.prunable_bytes > LARGE_BYTES else ""


def payload_path(capture: Capture) -> str:
    """Where a capture's payload is kept."""
    return archive.path_of(capture.payload_sha256)
