"""Pruning any history: no answer above the floor changes, nothing guarded goes, and what is gone is an error."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import time_machine
from django.core.files.storage import default_storage

from pipeline.finra.calendar import PartitionKey
from pipeline.keeping import marking, plans, removal
from pipeline.keeping.policy import Policy
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Capture,
    Category,
    EntryState,
    Partition,
    PlanState,
    PruneEntry,
    PrunePlan,
    Severity,
    Tally,
)
from pipeline.vintages import archive, read
from pipeline.vintages.read import NoSuchVintage, Pruned
from tests.faults.extent import EVERYTHING, SEED, spread
from tests.keeping.histories import KEYS, NOW, backed_up, drawn, snapshot
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, stored, text_of

DAY = timedelta(days=1)
POLICIES = [
    Policy(older_than=400),
    Policy(older_than=400, keep_first=True, keep_yearly=2),
    Policy(older_than=60, keep_last=2, keep_monthly=3, payloads=True),
    Policy(older_than=100, snapshots=False),
]
Answer = list[str] | None


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as coordinates:
        yield coordinates


def answers() -> dict[tuple[PartitionKey, datetime], Answer]:
    """The captures that answer as-of questions about each partition; None where retention refuses."""
    known = Capture.objects.values_list("normalized_at", flat=True)
    return {(key, at): _answer(key, at) for key in KEYS for at in known if at}


def _answer(key: PartitionKey, at: datetime) -> Answer:
    try:
        captures = read.captures_as_of(at, [key])
        read.of_captures(captures)
    except Pruned:
        return None
    return [capture.capture_id for capture in captures]


def guarded() -> set[int]:
    """The captures that may never go, as the design has it; written without the product's own guards."""
    captures = list(Capture.objects.select_related("partition"))
    found = {one.pk for one in captures if one.pinned or one.pk == one.partition.latest_id}
    for anomaly in Anomaly.objects.filter(resolved_at=None):
        found |= {one.pk for one in captures if one.partition_id == anomaly.partition_id}
    newest = AnalyticsSnapshot.objects.order_by("-sequence").first()
    return found | set(newest.inputs.values_list("pk", flat=True) if newest else ())


@pytest.mark.each_database
@pytest.mark.promise(1, 5, 6)
@pytest.mark.parametrize(("ledger", "number"), spread(range(60 if EVERYTHING else 6)), indirect=["ledger"])
def test_no_answer_above_the_floor_changes_and_nothing_guarded_goes(
    ledger: Ledger, number: int, clock: time_machine.Traveller
) -> None:
    draw = random.Random(f"{SEED} {number}")
    drawn(draw)
    policy = POLICIES[number % len(POLICIES)]
    before, kept = answers(), guarded()
    whole = {one.pk: one.vintage_path for one in Capture.objects.all()}
    plan = plans.store(plans.outline(policy), "olga")
    backed_up()
    print(f"FAULT_SEED={SEED}: {plan.prunable} of {plan.captures} captures are pruned")
    if plan.prunable:
        marking.mark(plan, "olga", count=plan.prunable)
    marked = answers()
    clock.shift(marking.WINDOW + DAY)
    removed = list(removal.remove_due())

    assert answers() == marked
    gone = {one.capture.pk for one in removed}
    assert not gone & kept
    assert [one.state for one in removed] == [EntryState.REMOVED] * plan.prunable
    for pk, path in whole.items():
        assert default_storage.exists(path) is (pk not in gone)
    for partition in Partition.objects.all():
        floor = read.as_of_floor(partition)
        assert floor <= NOW - policy.older_than * DAY
        for (key, at), answer in before.items():
            assert marked[key, at] in (answer, None)
            assert key != partition.key or at < floor or marked[key, at] == answer
    for one in AnalyticsSnapshot.objects.all():
        assert not gone & set(one.inputs.values_list("pk", flat=True))


def three_vintages() -> list[Capture]:
    """Known 900, 800 and 10 days ago; all have been computed."""
    made = [stored([("AAPL", "UBSA", f"{100 + age}", 1)], NOW - age * DAY) for age in (900, 800, 10)]
    for capture in made:
        snapshot([capture], (capture.normalized_at or NOW) + timedelta(minutes=1))
    return made


def marked(policy: Policy = Policy(older_than=730)) -> PrunePlan:  # noqa: B008 - it is frozen
    """What the policy comes to, marked."""
    backed_up()
    plan = plans.store(plans.outline(policy), "olga")
    return marking.mark(plan, "olga", count=plan.prunable)


def states() -> list[str]:
    """What became of each capture of the newest plan."""
    newest = PrunePlan.objects.order_by("-pk")[0]
    return list(newest.entries.order_by("capture__version").values_list("state", flat=True))


def test_a_plan_has_a_reason_for_each_capture(ledger: Ledger) -> None:
    three_vintages()
    plan = plans.store(plans.outline(Policy(older_than=730)), "olga")

    assert [(entry.state, entry.reason) for entry in plan.entries.order_by("capture__version")] == [
        ("PRUNE", "superseded 800 days ago, and no rule keeps it; with it goes 2025-11-14 snapshot 1"),
        ("KEEP", "2025-11-14 snapshot 2 was computed from it, and is kept: superseded 9 days ago"),
        (
            "KEEP",
            "the newest of its partition; 2025-11-14 snapshot 3 was computed from it, and is kept: the newest of its week",
        ),
    ]
    assert (plan.state, plan.captures, plan.prunable) == (PlanState.PLANNED, 3, 1)
    assert not Capture.objects.filter(pruned_at__isnull=False).exists()


@pytest.mark.promise(5)
def test_a_marked_capture_is_refused_with_the_floor(ledger: Ledger) -> None:
    first, second, _ = three_vintages()
    marked()

    with pytest.raises(Pruned, match=f"{first}: retention has removed its rows") as refused:
        read.as_of(NOW - 850 * DAY, [KEY])
    assert (refused.value.capture, refused.value.since) == (first, second.normalized_at)
    assert text_of(read.as_of(NOW - 800 * DAY, [KEY])) == ["AAPL UBSA 900 1"]
    assert text_of(read.as_of(NOW - 901 * DAY, [KEY])) == []


def test_undone_within_the_window_all_is_as_it_was(ledger: Ledger, clock: time_machine.Traveller) -> None:
    first, *_ = three_vintages()
    plan = marked()
    clock.shift(marking.WINDOW - DAY)
    assert list(removal.remove_due()) == []

    assert marking.undo(plan) == 1

    plan.refresh_from_db()
    assert (plan.state, states()) == (PlanState.UNDONE, ["UNDONE", "KEEP", "KEEP"])
    assert text_of(read.as_of(NOW - 850 * DAY, [KEY])) == ["AAPL UBSA 1000 1"]
    clock.shift(10 * DAY)
    assert list(removal.remove_due()) == []
    assert default_storage.exists(first.vintage_path)
    with pytest.raises(marking.CannotPrune, match="has nothing marked"):
        marking.undo(plan)


@pytest.mark.each_database
@pytest.mark.promise(1)
def test_a_guard_that_comes_up_holds_the_removal(ledger: Ledger, clock: time_machine.Traveller) -> None:
    first, *_ = three_vintages()
    plan = marked()
    anomaly = Anomaly.objects.record(Category.RESTATED_LATE, Severity.INFO, "late", partition=first.partition)
    clock.shift(marking.WINDOW + DAY)

    (held,) = removal.remove_due()
    assert (held.state, held.why) == (EntryState.HELD, f"anomaly {anomaly.pk} (RESTATED_LATE) is open")
    assert default_storage.exists(first.vintage_path)
    assert AnalyticsSnapshot.objects.count() == 3

    anomaly.resolve(by="olga", note="told them")
    (removed,) = removal.remove_due()
    plan.refresh_from_db()
    assert (removed.state, plan.state, AnalyticsSnapshot.objects.count()) == (EntryState.REMOVED, PlanState.DONE, 2)
    assert not default_storage.exists(first.vintage_path)
    assert Capture.objects.get(pk=first.pk).content_hash == first.content_hash
    with pytest.raises(NoSuchVintage):
        read.of_capture(first)


def test_a_plan_is_marked_only_while_it_still_holds(ledger: Ledger) -> None:
    first, *_ = three_vintages()
    plan = plans.store(plans.outline(Policy(older_than=730)), "olga")
    with pytest.raises(marking.CannotPrune, match="there is no backup: make one first"):
        marking.mark(plan, "olga", count=1)
    backed_up(NOW - 8 * DAY)
    with pytest.raises(marking.CannotPrune, match="the newest backup is 8 days old"):
        marking.mark(plan, "olga", count=1)
    backed_up()
    with pytest.raises(marking.CannotPrune, match="is large, it prunes more than 25% of all captures: say how many"):
        marking.mark(plan, "olga")

    Capture.objects.filter(pk=first.pk).update(pinned=True)
    with pytest.raises(marking.CannotPrune, match="the ledger has changed since plan"):
        marking.mark(plan, "olga", count=1)
    Capture.objects.filter(pk=first.pk).update(pinned=False)
    assert marking.mark(plan, "olga", count=1).state == PlanState.MARKED
    with pytest.raises(marking.CannotPrune, match="is MARKED already"):
        marking.mark(plan, "olga", count=1)


@pytest.mark.each_database
@pytest.mark.parametrize("point", ["files", "tick"])
def test_a_removal_that_was_cut_short_is_done_again(
    ledger: Ledger, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """It dies before a file is removed, or after all are and before that is written down."""
    first, *_ = three_vintages()
    marked()
    clock.shift(marking.WINDOW + DAY)
    name = {"files": "files.remove", "tick": "marking.settle"}[point]
    with monkeypatch.context() as dying:
        dying.setattr(f"pipeline.keeping.removal.{name}", _die)
        with pytest.raises(KeyboardInterrupt):
            list(removal.remove_due())
    assert states() == ["REMOVING", "KEEP", "KEEP"]
    with pytest.raises(Pruned):
        read.of_capture(Capture.objects.get(pk=first.pk))

    (removed,) = removal.remove_due()
    assert (removed.state, removed.bytes) == (EntryState.REMOVED, first.vintage_bytes)
    assert states() == ["REMOVED", "KEEP", "KEEP"]
    assert not default_storage.exists(first.vintage_path)


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_payload_goes_with_the_last_capture_of_it(ledger: Ledger, clock: time_machine.Traveller) -> None:
    """Two captures of the same bytes, and one of others; a later plan takes the payloads of what an earlier one pruned."""
    made = three_vintages()
    for sha256, captures in (("a" * 64, made[:2]), ("b" * 64, made[2:])):
        archive.put(b"bytes", sha256)
        Capture.objects.filter(pk__in=[one.pk for one in captures]).update(payload_sha256=sha256)
    AnalyticsSnapshot.objects.filter(sequence__lt=3).delete()
    marked()
    clock.shift(15 * DAY)
    assert [one.state for one in removal.remove_due()] == ["REMOVED"]
    assert archive.is_there("a" * 64)

    clock.shift(800 * DAY)
    backed_up(NOW + 815 * DAY)
    marked(Policy(older_than=730, payloads=True))
    assert states() == ["MARKED", "MARKED", "KEEP"]
    marking.undo(PrunePlan.objects.order_by("-pk")[0])
    assert [one.pruned_at is None for one in Capture.objects.order_by("pk")] == [False, True, True]
    backed_up(NOW + 815 * DAY)
    marked(Policy(older_than=730, payloads=True))
    clock.shift(15 * DAY)
    assert [one.state for one in removal.remove_due()] == ["REMOVED", "REMOVED"]
    assert (archive.is_there("a" * 64), archive.is_there("b" * 64)) == (False, True)
    assert PruneEntry.objects.removals().captures == 0


def test_what_is_removed_is_counted_for_good(ledger: Ledger, clock: time_machine.Traveller) -> None:
    first, *_ = three_vintages()
    marked()
    clock.shift(marking.WINDOW + DAY)
    list(removal.remove_due())

    counted = Tally.objects.sums()
    assert counted["prune_removed"] == {(("kind", "vintage"),): 1, (("kind", "snapshot"),): 1}
    assert counted["prune_freed_bytes"] == {(): first.vintage_bytes}
