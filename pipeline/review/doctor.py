"""The diagnosis: a week x tier grid of stages, and findings, each with the exact command that repairs it."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from pipeline.finra.calendar import PartitionKey, Tier, look_back, market_today
from pipeline.integrity import losses
from pipeline.models import Anomaly, Category, Readiness, ReadinessState, data_kinds
from pipeline.resilience import clock
from pipeline.review import archive_repairs, grid, repairs, unfinished
from pipeline.review.grid import BACKFILLED, Cell, CellState
from pipeline.runs.stopped import stopped
from pipeline.vintages import holdings
from pipeline.weeks import readiness

logger = logging.getLogger(__name__)

SETTLED = (CellState.GOOD, CellState.NOT_YET_DUE, CellState.DAMAGED)  # damage is a finding of the archive


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, and the command that repairs it."""

    what: str
    command: str


_OfWeeks = tuple[Collection[date], Finding]  # the weeks that a finding is about, and the finding


@dataclass(frozen=True, slots=True)
class WeekReadiness:
    """The readiness of a week for a use, as last decided."""

    week_ending: date
    use: str
    state: str
    reasons: list[str]
    reason_codes: list[str]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The grid, newest week first, the findings, and the readiness of the weeks."""

    cells: list[Cell]
    findings: list[Finding]
    readiness: list[WeekReadiness]

    @property
    def weeks(self) -> list[date]:
        """The weeks of the grid, newest first."""
        return sorted({cell.week_ending for cell in self.cells}, reverse=True)

    @property
    def is_healthy(self) -> bool:
        """Whether there are no findings."""
        return not self.findings


def diagnose(weeks: int, today: date) -> Diagnosis:
    """Diagnose a look-back of `weeks`, and no other week. Reads only."""
    keys = {PartitionKey(week, tier) for week in look_back(weeks, today) for tier in Tier}
    held = holdings.holdings()
    cells = grid.cells(keys, today, losses.unaccepted(held.lost))
    verdicts = list(Readiness.objects.filter(week_ending__in={cell.week_ending for cell in cells}))
    found = [*_archive_findings(), *_partition_findings(cells), *_week_findings(cells)]
    found += _anomaly_findings(cells, is_away=losses.is_gone(held))
    found += _verdict_findings(cells, verdicts, {week for of, _ in found for week in of}, today)
    findings = [_seen_from(today, finding) for _, finding in found]
    findings = [*_run_findings(), *findings, *_clock_findings()]
    return Diagnosis(cells, findings, list(map(_said, verdicts)))


def _said(one: Readiness) -> WeekReadiness:
    return WeekReadiness(one.week_ending, one.use, one.state, one.reasons, one.reason_codes)


def log_findings(diagnosis: Diagnosis) -> None:
    """Log each finding, with the command that repairs it."""
    for finding in diagnosis.findings:
        logger.warning("doctor: %s | repaired by: %s", finding.what, finding.command)


def _seen_from(today: date, finding: Finding) -> Finding:
    """The finding; when seen from another day than today, its command names that day."""
    if today == market_today():
        return finding
    return Finding(finding.what, f"{finding.command} --run-date {today}")


def _archive_findings() -> Iterator[_OfWeeks]:
    """The losses of the archive, of all captures, however old."""
    weeks = {week for anomaly in losses.standing() for week in anomaly.weeks_concerned}
    return ((weeks, Finding(repair.what, manage(*repair.words))) for repair in archive_repairs.repairs())


def _partition_findings(cells: Iterable[Cell]) -> Iterator[_OfWeeks]:
    """A finding for each partition, but only one for all of a tier that the same backfill mends."""
    to_backfill: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.state is CellState.ARCHIVED:
            command = manage("run_weekly", *_of(cell), "--only-stage", "normalize")
            yield {cell.week_ending}, Finding(_cell_sentence(cell), command)
        elif cell.state not in SETTLED and _is_backfilled(cell):
            to_backfill.setdefault(cell.tier, []).append(cell)
    for tier, missing in to_backfill.items():
        weeks = ",".join(cell.week_ending.isoformat() for cell in missing)
        command = manage("backfill", "--weeks", weeks, "--tiers", tier)
        yield {cell.week_ending for cell in missing}, Finding("\n".join(map(_cell_sentence, missing)), command)


def _is_backfilled(cell: Cell) -> bool:
    """Whether a fetch repairs it: no anomaly stands against it, or one that a fetch proves to be over."""
    if cell.anomaly is None:
        return True
    return cell.state in BACKFILLED and repairs.is_backfilled(cell.anomaly, cell)


def _of(cell: Cell) -> tuple[str, ...]:
    return ("--weeks", cell.week_ending.isoformat(), "--tiers", cell.tier)


def _cell_sentence(cell: Cell) -> str:
    return f"{cell.week_ending} {cell.tier} {cell.state}: {cell.detail}"


def _week_findings(cells: list[Cell]) -> Iterator[_OfWeeks]:
    for week in _weeks(cells):
        if unfinished.is_not_computed(week):
            yield {week}, Finding(f"{week}: {unfinished.NOT_COMPUTED}", _recalculate(week))


def _run_findings() -> Iterator[Finding]:
    """Runs that stopped before their end, of any weeks."""
    for one in stopped():
        act = "cancel_run" if one.hindrance else "resume_run"
        yield Finding(f"Run {one.run.pk} ({one.run.command}) {one.what}", manage(act, str(one.run.pk)))


def _clock_findings() -> Iterator[Finding]:
    """Captures of any week whose rows become known only in the future."""
    for capture in clock.known_in_the_future():
        since = f"{capture.normalized_at:%Y-%m-%d %H:%M} UTC"
        yield Finding(
            f"{capture} is known only from {since} on: the clock was ahead, and set back", manage("recover_runs")
        )


def _anomaly_findings(cells: list[Cell], *, is_away: bool) -> Iterator[_OfWeeks]:
    """Open anomalies against a week that are not told with their cell, each with the command that ends it.

    While the archive `is_away`, no fetch succeeds: what it would end is told once it is back.
    """
    of_key = {PartitionKey(cell.week_ending, Tier(cell.tier)): cell for cell in cells}
    seen: set[int] = set()
    for week in _weeks(cells):
        open_ = Anomaly.objects.open().of_week(week).exclude(losses.ABOUT_ARCHIVE)
        for anomaly in open_.select_related("partition", "last_run").order_by("pk"):
            cell = of_key.get(anomaly.partition.key) if anomaly.partition else None
            waits = is_away and cell is not None and cell.newest is not None and repairs.is_backfilled(anomaly, cell)
            is_news = anomaly.pk not in seen and not waits and repairs.is_finding(anomaly, cell)
            seen.add(anomaly.pk)
            if is_news:
                what = _anomaly_sentence(anomaly, cell)
                yield {week}, Finding(what, manage(*repairs.words(anomaly, cell, week)))


def _anomaly_sentence(anomaly: Anomaly, cell: Cell | None) -> str:
    """Its cell's sentence; where only a person can end it, its own, with its number."""
    if cell is not None and cell.anomaly == anomaly and cell.state is grid.STANDING.get(Category(anomaly.category)):
        return _cell_sentence(cell)
    return anomaly.sentence


def _verdict_findings(
    cells: list[Cell], verdicts: list[Readiness], found: Collection[date], today: date
) -> Iterator[_OfWeeks]:
    """Weeks whose verdict no longer follows from the ledger, and weeks BLOCKED for a reason that no finding tells."""
    held = {cell.week_ending for cell in cells if cell.newest}
    for week in _weeks(cells):
        stored = {verdict.use: verdict.state for verdict in verdicts if verdict.week_ending == week}
        if week in found or not (stored or week in held):
            continue
        if unfinished.is_not_judged(week, stored, today):
            yield {week}, Finding(f"{week}: {unfinished.NOT_JUDGED}", _recalculate(week))
        elif ReadinessState.BLOCKED in stored.values():
            now = readiness.assess(week, today).values()
            reasons = {reason: None for verdict in now for reason in verdict.sentences}
            yield {week}, Finding(f"{week} is BLOCKED: {'; '.join(reasons)}", _recalculate(week))


def _recalculate(week: date) -> str:
    return manage("run_weekly", "--weeks", week.isoformat(), "--only-stage", "calc")


def _weeks(cells: Iterable[Cell]) -> list[date]:
    """Newest first."""
    return sorted({cell.week_ending for cell in cells}, reverse=True)


def manage(*words: str) -> str:
    """A command line as the operator types it."""
    return f"{data_kinds.manage_py()} {shlex.join(words)}"
