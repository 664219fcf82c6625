"""The summary of a run from the ledger, as commands print it, and its exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date

from pipeline.integrity import losses
from pipeline.models import (
    BAD_OUTCOMES,
    FETCHING,
    Action,
    Anomaly,
    Manifest,
    Outcome,
    Readiness,
    ReadinessState,
    Run,
    RunPartition,
    RunStatus,
    Severity,
    Stage,
    Use,
)

COUNTED = (
    Outcome.INGESTED,
    Outcome.RESTATED,
    Outcome.FORCED,
    Outcome.UNCHANGED,
    Outcome.NOT_OFFERED,
    Outcome.REFUSED,
    Outcome.LATE,
    Outcome.FAILED,
)
GOOD, FAILURES, COULD_NOT_RUN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class StepSummary:
    """One partition of a run."""

    week_ending: date
    tier: str
    action: str
    outcome: str
    reason: str
    capture_id: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of a run. Counts are of partitions, but for analytics (weeks) and readiness (weeks per use and state).

    `archive` has a sentence for each open anomaly about the archive, of any week.
    """

    run: int
    status: str
    exit_code: int
    run_date: date
    weeks: list[date]
    partitions: dict[str, int]
    ingestion: dict[str, int]
    normalization: dict[str, int]
    analytics: dict[str, int]
    readiness: dict[str, dict[str, int]]
    anomalies: dict[str, int]
    archive: list[str]
    steps: list[StepSummary]

    def as_json(self) -> dict[str, object]:
        """The summary as a JSON document has it; dates as text."""
        return asdict(self)


def exit_code(run: Run) -> int:
    """0 when every due partition is good, 1 when the run finished with failures or was stopped."""
    return GOOD if run.status == RunStatus.SUCCEEDED else FAILURES


def summarize(run: Run) -> Summary:
    """The summary of a run. Anomalies are those open for the run's weeks."""
    steps = list(run.partitions.select_related("partition", "capture"))
    weeks = list(run.weeks.values_list("week_ending", flat=True))
    return Summary(
        run=run.pk,
        status=run.status,
        exit_code=exit_code(run),
        run_date=run.run_date,
        weeks=weeks,
        partitions=_partitions(steps),
        ingestion=_ingestion(steps),
        normalization=_normalization(run, steps),
        analytics=_analytics(run),
        readiness=_readiness(weeks),
        anomalies=_anomalies(weeks),
        archive=[anomaly.message for anomaly in losses.standing()],
        steps=[_step(step) for step in steps],
    )


def _step(step: RunPartition) -> StepSummary:
    key = step.partition.key
    capture_id = step.capture.capture_id if step.capture else None
    return StepSummary(key.week_ending, key.tier, step.action, step.outcome or step.status, step.reason, capture_id)


def _partitions(steps: list[RunPartition]) -> dict[str, int]:
    waiting = sum(step.action == Action.NOT_YET_DUE for step in steps)
    return {"total": len(steps), "due": len(steps) - waiting, "not_yet_due": waiting}


def _ingestion(steps: list[RunPartition]) -> dict[str, int]:
    found = Counter(step.outcome for step in steps if step.action in FETCHING)
    return {outcome.lower(): found[outcome] for outcome in COUNTED}


def _normalization(run: Run, steps: list[RunPartition]) -> dict[str, int]:
    outcomes = [step.outcome for step in steps if step.action == Action.NORMALIZE]
    return {
        "normalized": Manifest.objects.filter(run=run, stage=Stage.NORMALIZED).count(),
        "unchanged": outcomes.count(Outcome.UNCHANGED),
        "failed": sum(outcome in BAD_OUTCOMES for outcome in outcomes),
    }


def _analytics(run: Run) -> dict[str, int]:
    found = Counter(run.weeks.exclude(closed_at=None).values_list("calculation", flat=True))
    return {outcome: found[outcome.upper()] for outcome in ("computed", "unchanged", "skipped", "failed")}


def _readiness(weeks: list[date]) -> dict[str, dict[str, int]]:
    found = Counter(Readiness.objects.filter(week_ending__in=weeks).values_list("use", "state"))
    return {use: {state: found[use, state] for state in ReadinessState.values} for use in Use.values}


def _anomalies(weeks: list[date]) -> dict[str, int]:
    open_ = {pk: severity for week in weeks for pk, severity in _open(week)}
    found = Counter(open_.values())
    return {severity: found[severity] for severity in Severity.values}


def _open(week: date) -> Iterable[tuple[int, str]]:
    return Anomaly.objects.open().of_week(week).values_list("pk", "severity")
