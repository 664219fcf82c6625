"""Plans: which partitions, what will be done to each, and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from pipeline.finra.calendar import PartitionKey, Tier, is_due
from pipeline.models import Action, Outcome, Partition, PartitionStatus, Run, RunPartition
from pipeline.runs import in_process, lifecycle
from pipeline.runs.history import last_tries
from pipeline.runs.plan import make_plan, plan_with, target_keys
from pipeline.runs.request import Only, OnlyStage, Request
from tests.management.publications import DAY, NEWER_WEEK, OLDER_WEEK, OTC, TIER_1, TIER_2, WEEK, content
from tests.support.engines import Ledger
from tests.support.ledger_state import row_counts
from tests.support.sources_in_memory import MemorySource

REQUEST = Request(command="run_weekly", run_date=DAY, weeks=(WEEK,))


def capture(*keys: PartitionKey, stage: OnlyStage = OnlyStage.ALL) -> None:
    """Have these partitions captured, or only archived."""
    source = MemorySource()
    for key in keys:
        source.publish(key, content(key))
    weeks, tiers = {key.week_ending for key in keys}, {key.tier for key in keys}
    request = replace(REQUEST, weeks=tuple(weeks), tiers=tuple(tiers), only_stage=stage)
    in_process.execute(lifecycle.start(make_plan(request, set(keys))), source)


def tried(key: PartitionKey, action: Action, outcome: Outcome) -> None:
    """Have a run come to this outcome for the partition."""
    now = timezone.now()
    run = Run.objects.create(
        trigger="CLI", command="x", parameters={}, run_date=DAY, created_at=now, heartbeat_at=now, worker=""
    )
    RunPartition.objects.create(
        run=run,
        partition=Partition.objects.ensure([key])[key],
        action=action,
        status=PartitionStatus.DONE,
        outcome=outcome,
        queued_at=now,
    )


def planned(request: Request, offered: set[PartitionKey] | None = None) -> dict[PartitionKey, tuple[Action, str]]:
    """The plan's actions and reasons."""
    return {step.key: (step.action, step.reason) for step in make_plan(request, offered).steps}


@pytest.mark.promise(7)
def test_a_plan_reads_the_ledger_and_writes_nothing(ledger: Ledger) -> None:
    capture(OTC)
    before = row_counts()

    make_plan(Request(command="run_weekly", run_date=DAY), set())

    assert row_counts() == before


def test_steps_come_newest_week_first_then_by_tier(ledger: Ledger) -> None:
    plan = make_plan(replace(REQUEST, weeks=(OLDER_WEEK, WEEK), tiers=(Tier.OTC, Tier.NMS_TIER_1)), set())

    assert [step.key for step in plan.steps] == [
        (WEEK, Tier.NMS_TIER_1),
        (WEEK, Tier.OTC),
        (OLDER_WEEK, Tier.NMS_TIER_1),
        (OLDER_WEEK, Tier.OTC),
    ]
    assert plan.weeks == (WEEK, OLDER_WEEK)


def test_each_step_says_why(ledger: Ledger) -> None:
    capture(TIER_1, TIER_2)

    assert planned(REQUEST, {TIER_1, OTC}) == {
        TIER_1: (Action.INGEST, "look for a restatement of version 1"),
        TIER_2: (Action.INGEST, "version 1 is held, the source has it no more"),
        OTC: (Action.INGEST, "first capture"),
    }
    assert planned(REQUEST, set())[OTC] == (Action.INGEST, "due since 2025-12-15, not there: late")
    assert planned(replace(REQUEST, force=True), {TIER_1})[TIER_1] == (
        Action.INGEST,
        "forced: captured whatever it holds",
    )


def test_what_is_not_due_waits_unless_somebody_has_it(ledger: Ledger) -> None:
    key = PartitionKey(NEWER_WEEK, Tier.OTC)
    request = replace(REQUEST, weeks=(NEWER_WEEK,), tiers=(Tier.OTC,))

    assert planned(request, {key})[key] == (Action.NOT_YET_DUE, "FINRA publishes it on 2025-12-29")
    assert planned(replace(request, even_before_due=True), {key})[key] == (Action.INGEST, "first capture")
    assert target_keys(request) == []


def test_one_stage_only(ledger: Ledger) -> None:
    capture(TIER_1)
    capture(TIER_2, stage=OnlyStage.INGEST)
    by_stage = {stage: planned(replace(REQUEST, only_stage=stage)) for stage in OnlyStage}

    assert by_stage[OnlyStage.INGEST][OTC] == (Action.ARCHIVE, "first capture")
    assert by_stage[OnlyStage.NORMALIZE] == {
        TIER_1: (Action.NORMALIZE, "read the archived payload of version 1 again"),
        TIER_2: (Action.NORMALIZE, "version 1 is archived, its rows are not stored"),
        OTC: (Action.NORMALIZE, "nothing archived"),
    }
    assert by_stage[OnlyStage.CALC] == {
        TIER_1: (Action.NONE, "calculated from version 1"),
        TIER_2: (Action.NONE, "calculated from version 1"),
        OTC: (Action.NONE, "nothing captured"),
    }


def test_only_missing_and_only_failed(ledger: Ledger) -> None:
    capture(TIER_1)
    tried(TIER_1, Action.INGEST, Outcome.REFUSED)
    tried(OTC, Action.INGEST, Outcome.LATE)

    assert set(planned(replace(REQUEST, only=Only.MISSING), set())) == {TIER_2, OTC}
    assert set(planned(replace(REQUEST, only=Only.FAILED), set())) == {TIER_1, OTC}
    assert set(planned(replace(REQUEST, only=Only.ALL), set())) == {TIER_1, TIER_2, OTC}


@pytest.mark.parametrize(
    ("history", "last"),
    [
        ([(Action.INGEST, Outcome.FAILED), (Action.INGEST, Outcome.UNCHANGED)], Outcome.UNCHANGED),
        ([(Action.INGEST, Outcome.REFUSED), (Action.NONE, Outcome.UNCHANGED)], Outcome.REFUSED),
        ([(Action.INGEST, Outcome.REFUSED), (Action.NORMALIZE, Outcome.UNCHANGED)], Outcome.REFUSED),
        ([(Action.ARCHIVE, Outcome.FAILED), (Action.NORMALIZE, Outcome.INGESTED)], Outcome.FAILED),
        ([(Action.INGEST, Outcome.INGESTED), (Action.NORMALIZE, Outcome.FAILED)], Outcome.FAILED),
        ([(Action.NORMALIZE, Outcome.FAILED), (Action.NORMALIZE, Outcome.UNCHANGED)], Outcome.UNCHANGED),
        ([(Action.NORMALIZE, Outcome.FAILED), (Action.INGEST, Outcome.UNCHANGED)], Outcome.UNCHANGED),
        ([(Action.INGEST, Outcome.LATE), (Action.NOT_YET_DUE, Outcome.NOT_YET_DUE)], Outcome.LATE),
        ([(Action.INGEST, Outcome.LATE), (Action.INGEST, Outcome.CANCELLED)], Outcome.LATE),
        ([(Action.NONE, Outcome.LATE)], None),
    ],
)
def test_the_last_try_is_the_last_work_of_a_run(
    ledger: Ledger, history: list[tuple[Action, Outcome]], last: Outcome | None
) -> None:
    for action, outcome in history:
        tried(OTC, action, outcome)

    found = last_tries([WEEK]).get(OTC)

    assert (Outcome(found.outcome) if found else None) == last


def test_a_source_that_will_be_probed_is_asked_for_one_partition_only(ledger: Ledger) -> None:
    asked: list[list[PartitionKey]] = []

    class Counting(MemorySource):
        def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
            asked.append(list(keys))
            return super().available(keys)

    plan_with(replace(REQUEST, probe=True), Counting())
    plan_with(REQUEST, Counting())

    assert asked == [target_keys(REQUEST)[:1], target_keys(REQUEST)]


def test_partitions_are_made_once(ledger: Ledger) -> None:
    first = Partition.objects.ensure([OTC, TIER_1])
    again = Partition.objects.ensure([TIER_1, TIER_2])

    assert first[TIER_1].pk == again[TIER_1].pk
    assert Partition.objects.count() == 3


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, run_date=DAY + timedelta(days=1)),
        replace(REQUEST, tiers=(Tier.OTC,)),
        replace(REQUEST, weeks=None),
        replace(REQUEST, lookback_weeks=5),
        replace(REQUEST, force=True),
        replace(REQUEST, source="upload"),
        replace(REQUEST, origin="elsewhere"),
        replace(REQUEST, command="backfill"),
        replace(REQUEST, only=Only.FAILED),
        replace(REQUEST, only_stage=OnlyStage.CALC),
    ],
)
def test_whatever_decides_the_plan_is_in_the_name_of_the_request(other: Request) -> None:
    assert replace(REQUEST).parameters_hash() == REQUEST.parameters_hash()
    assert other.parameters_hash() != REQUEST.parameters_hash()


@given(run_date=st.dates(date(2019, 1, 1), date(2027, 12, 31)), weeks=st.integers(1, 12))
def test_a_look_back_targets_every_due_partition_of_its_weeks(run_date: date, weeks: int) -> None:
    keys = target_keys(Request(command="run_weekly", run_date=run_date, lookback_weeks=weeks))

    oldest = min(key.week_ending for key in keys)
    for tier in Tier:
        of_tier = [key.week_ending for key in keys if key.tier is tier]
        assert len(of_tier) == len(set(of_tier))
        assert min(of_tier) == oldest
        assert max(of_tier) - oldest == timedelta(weeks=len(of_tier) - 1)
        assert not is_due(PartitionKey(max(of_tier) + timedelta(weeks=1), tier), run_date)
    assert sum(key.tier is Tier.OTC for key in keys) == weeks
