"""The plan: an action on each partition, with the reason. A dry run prints it, a run executes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from pipeline.finra.calendar import PartitionKey, due_date, is_due, look_back
from pipeline.finra.sources.api.access import NAME
from pipeline.finra.sources.base import Source
from pipeline.models import (
    BAD_OUTCOMES,
    Action,
    Capture,
)
from pipeline.resilience import connections
from pipeline.runs.history import in_flight, last_tries
from pipeline.runs.request import Only, OnlyStage, Request


@dataclass(frozen=True, slots=True)
class Step:
    """The planned action on one partition, and the reason."""

    key: PartitionKey
    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps, newest week first."""

    request: Request
    steps: tuple[Step, ...]

    @property
    def weeks(self) -> tuple[date, ...]:
        """The weeks it touches, newest first."""
        return tuple(sorted({step.key.week_ending for step in self.steps}, reverse=True))


@dataclass(frozen=True, slots=True)
class _Ledger:
    """The state of the requested partitions in the ledger."""

    newest: dict[PartitionKey, Capture]
    failed: set[PartitionKey]
    in_flight: Mapping[PartitionKey, int]


def plan_with(request: Request, source: Source, *, skip_in_flight: bool = False) -> Plan:
    """The plan, after asking the source for its partitions; SourceError when it cannot be asked.

    A run that probes asks about each partition later: here it is asked about one, to see that it answers.
    """
    keys = target_keys(request)
    connections.release()
    if request.probe:
        source.available(keys[:1])
        return make_plan(request, skip_in_flight=skip_in_flight)
    offered = source.available(keys) if request.fetches else None
    return make_plan(request, offered, skip_in_flight=skip_in_flight)


def make_plan(
    request: Request, offered: Collection[PartitionKey] | None = None, *, skip_in_flight: bool = False
) -> Plan:
    """The plan for `request`. Reads the ledger, writes nothing.

    `offered` are the partitions that the source has now; None where no source is asked (normalize, calc). With
    `skip_in_flight`, partitions in flight are left to their run; without, they are worked on afterwards.
    """
    keys = sorted(set(_targets(request)), key=lambda key: (-key.week_ending.toordinal(), key.tier))
    ledger = _read_ledger(keys, skip_in_flight)
    steps = (_step(request, key, ledger, offered) for key in keys if _is_wanted(request.only, key, ledger))
    return Plan(request, tuple(steps))


def _is_wanted(only: Only, key: PartitionKey, ledger: _Ledger) -> bool:
    """Whether a backfill takes the partition: all, those never captured, those captured, or those whose last try failed."""
    if only in (Only.MISSING, Only.CAPTURED):
        return (key in ledger.newest) is (only is Only.CAPTURED)
    return only is Only.ALL or key in ledger.failed


def target_keys(request: Request) -> list[PartitionKey]:
    """The due partitions that a run may ask the source for."""
    return [key for key in _targets(request) if is_due(key, request.run_date)]


def _targets(request: Request) -> Iterable[PartitionKey]:
    if request.partitions is not None:
        yield from request.partitions
        return
    weeks = request.weeks if request.weeks is not None else look_back(request.lookback_weeks, request.run_date)
    for week_ending in weeks:
        for tier in request.tiers:
            yield PartitionKey(week_ending, tier)


def _read_ledger(keys: list[PartitionKey], skip_in_flight: bool) -> _Ledger:
    weeks = {key.week_ending for key in keys}
    newest = Capture.objects.newest_by_key(weeks)
    failed = {key for key, tried in last_tries(weeks).items() if tried.outcome in BAD_OUTCOMES}
    return _Ledger(newest, failed, in_flight(weeks) if skip_in_flight else {})


def _step(request: Request, key: PartitionKey, ledger: _Ledger, offered: Collection[PartitionKey] | None) -> Step:
    if not is_due(key, request.run_date) and not request.even_before_due:
        return Step(key, Action.NOT_YET_DUE, f"FINRA publishes it on {due_date(key.tier, key.week_ending)}")
    if key in ledger.in_flight:
        return Step(key, Action.SKIP, f"run {ledger.in_flight[key]} has it in flight")
    held = ledger.newest.get(key)
    if request.only_stage is OnlyStage.CALC:
        return Step(key, Action.NONE, f"calculated from version {held.version}" if held else "nothing captured")
    if request.only_stage is OnlyStage.NORMALIZE:
        return Step(key, Action.NORMALIZE, _normalize_reason(held))
    if held and held.normalized_at and _is_asked_about(request):
        return Step(key, Action.PROBE, f"ask whether it moved since version {held.version}")
    action = Action.ARCHIVE if request.only_stage is OnlyStage.INGEST else Action.INGEST
    return Step(key, action, _ingest_reason(request, key, held, offered))


def _is_asked_about(request: Request) -> bool:
    """Whether captured partitions are probed first, and downloaded only if they moved.

    FINRA asks clients not to download unchanged data again and again (finra.md, "API"). Partitions that an operator
    forces or names are downloaded.
    """
    downloads = request.force or request.partitions is not None or request.only_stage is not OnlyStage.ALL
    return request.probe or (request.source == NAME and not downloads)


def _normalize_reason(held: Capture | None) -> str:
    if held is None:
        return "nothing archived"
    if held.normalized_at is None:
        return f"version {held.version} is archived, its rows are not stored"
    return f"read the archived payload of version {held.version} again"


def _ingest_reason(
    request: Request, key: PartitionKey, held: Capture | None, offered: Collection[PartitionKey] | None
) -> str:
    if offered is not None and key not in offered:
        due = due_date(key.tier, key.week_ending)
        return (
            f"version {held.version} is held, the source has it no more"
            if held
            else f"due since {due}, not there: late"
        )
    if request.force:
        return "forced: captured whatever it holds"
    return f"look for a restatement of version {held.version}" if held else "first capture"
