"""The diagnosis: a week x tier grid of stages, what is wrong, and the exact command that repairs it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from pipeline import analytics, archive_checks, archive_findings, archive_repairs, clock, data_kinds, grid
from pipeline.calendar import PartitionKey, Tier, look_back, market_today
from pipeline.grid import Cell, CellState
from pipeline.models import Anomaly, Readiness, Severity

SETTLED = (CellState.GOOD, CellState.NOT_YET_DUE, CellState.DAMAGED)  # what is damaged is a finding of the archive
BACKFILLED = (CellState.MISSING, CellState.LATE, CellState.FAILED)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, and the command that repairs it."""

    what: str
    command: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The readiness of a week for a use, as last decided."""

    week_ending: date
    use: str
    state: str
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The grid, newest week first, the findings, and the readiness of the weeks."""

    cells: list[Cell]
    findings: list[Finding]
    readiness: list[Verdict]

    @property
    def weeks(self) -> list[date]:
        """The weeks of the grid, newest first."""
        return sorted({cell.week_ending for cell in self.cells}, reverse=True)

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is to be repaired."""
        return not self.findings


def diagnose(weeks: int, today: date) -> Diagnosis:
    """Look at a look-back of `weeks`, and at no other week. Reads only."""
    keys = {PartitionKey(week, tier) for week in look_back(weeks, today) for tier in Tier}
    cells = grid.cells(keys, today, archive_findings.unaccepted(archive_checks.holdings().lost))
    findings = [
        _seen_from(today, finding)
        for finding in (
            *_archive_findings(),
            *_partition_findings(cells),
            *_week_findings(cells),
            *_anomaly_findings(cells),
        )
    ]
    findings.extend(_clock_findings())
    verdicts = Readiness.objects.filter(week_ending__in={cell.week_ending for cell in cells})
    return Diagnosis(cells, findings, [Verdict(v.week_ending, v.use, v.state, v.reasons) for v in verdicts])


def _seen_from(today: date, finding: Finding) -> Finding:
    """The finding of another day than today is repaired by a command of that day."""
    if today == market_today():
        return finding
    return Finding(finding.what, f"{finding.command} --run-date {today}")


def _archive_findings() -> Iterator[Finding]:
    """What the archive has lost of all captures, however old."""
    return (Finding(repair.what, manage(*repair.words)) for repair in archive_repairs.repairs())


def _partition_findings(cells: Iterable[Cell]) -> Iterator[Finding]:
    """A finding per partition, but one per tier for all that the same backfill mends."""
    to_backfill: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.state in BACKFILLED:
            to_backfill.setdefault(cell.tier, []).append(cell)
        elif cell.state not in SETTLED:
            yield Finding(_told(cell), _repair(cell))
    for tier, missing in to_backfill.items():
        weeks = ",".join(cell.week_ending.isoformat() for cell in missing)
        yield Finding("\n".join(map(_told, missing)), manage("backfill", "--weeks", weeks, "--tiers", tier))


def _told(cell: Cell) -> str:
    return f"{cell.week_ending} {cell.tier} {cell.state}: {cell.detail}"


def _repair(cell: Cell) -> str:
    one = ["--weeks", cell.week_ending.isoformat(), "--tiers", cell.tier]
    if cell.state is CellState.ARCHIVED:
        return manage("run_weekly", *one, "--only-stage", "normalize")
    return manage("backfill", *one, "--force", "--reason", "why the smaller file is right")


def _week_findings(cells: list[Cell]) -> Iterator[Finding]:
    for week in sorted({cell.week_ending for cell in cells}, reverse=True):
        captured = analytics.inputs_of(week)
        if captured and not analytics.is_current(analytics.newest_snapshot(week), week):
            command = manage("run_weekly", "--weeks", week.isoformat(), "--only-stage", "calc")
            yield Finding(f"{week}: the analytics are not computed from the newest captures", command)


def _clock_findings() -> Iterator[Finding]:
    """Captures of any week that as-of questions do not find before an instant that is to come."""
    for capture in clock.known_in_the_future():
        since = f"{capture.normalized_at:%Y-%m-%d %H:%M} UTC"
        yield Finding(
            f"{capture} is known only from {since} on: the clock was ahead, and set back", manage("sweep_runs")
        )


def _anomaly_findings(cells: list[Cell]) -> Iterator[Finding]:
    """Open anomalies that block a week. Resolving one is a person's word: the note is theirs to write."""
    for week in sorted({cell.week_ending for cell in cells}, reverse=True):
        grave = Anomaly.objects.open().of_week(week).filter(severity__in=Severity.at_least(Severity.ERROR))
        for anomaly in grave.exclude(archive_findings.ABOUT_ARCHIVE):
            where = anomaly.partition or week
            what = f"{where}: open {anomaly.severity} anomaly {anomaly.pk}, {anomaly.category}: {anomaly.message}"
            yield Finding(what, manage("resolve_anomaly", str(anomaly.pk), "--note", "what you found and did"))


def manage(*words: str) -> str:
    """A command line as the operator types it."""
    return f"{data_kinds.manage_py()} {shlex.join(words)}"
