"""Acts by commands, in the operator log like acts in the admin: who, when, what, why, and the outcome."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.models import Act, OperatorLogEntry, Partition, Run
from pipeline.operations.orders import ActResult, Order, carry_out
from pipeline.runs.history import PASSED_OVER
from pipeline.runs.plan import Plan

ACTS = {
    "run_weekly": Act.RUN,
    "backfill": Act.BACKFILL,
    "ingest_file": Act.INGEST_FILE,
    "probe_restatements": Act.PROBE,
}


def start_run(plan: Plan, start: Callable[[], Run]) -> Run:
    """Start the run that a command asks for, and write it down; both or neither."""

    def work() -> ActResult:
        run = start()
        return ActResult(f"Run {run.pk} was started by the command {plan.request.command}: {_counted(plan)}.", run)

    return _run_of(_write(plan, work))


def log_resumption(plan: Plan, run: Run) -> None:
    """Write down that a command resumes a run that had stopped."""
    sentence = f"The command {plan.request.command} resumed run {run.pk}, which had stopped."
    _write(plan, lambda: ActResult(sentence, run))


def _write(plan: Plan, work: Callable[[], ActResult]) -> OperatorLogEntry:
    """Write the entry. Its subjects are partitions that are forced or brought by hand; those of a range are in its run."""
    request = plan.request
    act = Act.FORCE_REINGEST if request.force else ACTS[request.command]
    subjects = _partitions(plan) if act in (Act.FORCE_REINGEST, Act.INGEST_FILE) else []
    return carry_out(act, Order(operator=request.requested_by, reason=request.reason), subjects, work)


def _partitions(plan: Plan) -> list[Partition]:
    keys = [step.key for step in plan.steps if step.action not in PASSED_OVER]
    return list(Partition.objects.ensure(keys).values())


def _counted(plan: Plan) -> str:
    working = sum(step.action not in PASSED_OVER for step in plan.steps)
    return f"{working} partition{'' if working == 1 else 's'}"


def _run_of(entry: OperatorLogEntry) -> Run:
    if entry.run is None:
        raise LookupError(f"the entry {entry.pk} of the operator log names no run")
    return entry.run
