"""Commands that run a plan: print it, or execute it with progress, then print the summary."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.engine import canvas
from pipeline.finra.calendar import Tier, parse_run_date, parse_tiers
from pipeline.finra.sources.base import Source
from pipeline.management.base import BadArguments, add_run_date, operator
from pipeline.management.progress import progress_of
from pipeline.management.run_command import RunCommand
from pipeline.models import Run
from pipeline.runs import in_process, lifecycle, liveness
from pipeline.runs.estimate import estimate
from pipeline.runs.plan import Plan, Step, plan_with
from pipeline.runs.request import Request
from pipeline.runs.sources import PLAN_SECONDS, origin_of, source_of


class PlanCommand(RunCommand):
    """A command that makes a plan and runs it."""

    def add_run_arguments(self, parser: CommandParser, source: str = "") -> None:
        """Add the arguments of the source, the tiers, the day, the reason and the engine."""
        parser.add_argument("--tiers", metavar="TIER,...", default=",".join(Tier), help="default: all three")
        source = source or settings.MARKETSPINE_SOURCE
        parser.add_argument("--source", default=source, help="where from: files, api or samples (default: %(default)s)")
        parser.add_argument(
            "--source-dir",
            metavar="DIR",
            default=settings.MARKETSPINE_SOURCE_DIR,
            help="the folder that files or samples are read from",
        )
        parser.add_argument("--force", action="store_true", help="capture whatever the source holds, changed or not")
        parser.add_argument("--reason", default="", help="why, for the record; kept with every capture made")
        parser.add_argument("--by", default=operator(), help="who asks for it, for the record (default: %(default)s)")
        add_run_date(parser)
        self.add_engine_arguments(parser)

    def requested(self, command: str, options: dict[str, Any]) -> Request:
        """The request by the arguments that all these commands share; each command adds its own."""
        return Request(
            command=command,
            run_date=parse_run_date(options["run_date"]),
            tiers=parse_tiers(options["tiers"]),
            source=options["source"],
            origin=origin_of(options["source"], options["source_dir"]),
            force=options["force"],
            reason=options["reason"],
            requested_by=options["by"],
        )

    def plan(self, request: Request) -> Plan:
        """The plan, after asking the source; a source that cannot be asked ends the command."""
        if request.force and not request.fetches:
            raise BadArguments(
                f"--force captures again, and --only-stage {request.only_stage} fetches nothing: drop one"
            )
        return plan_with(request, source_of(request, PLAN_SECONDS))

    def print_plan(self, plan: Plan) -> None:
        """Every step that a run would take, with its reason."""
        steps = lifecycle.remaining(plan).steps
        rows = [(step.key.week_ending, step.key.tier, step.action, step.reason) for step in steps]
        self.table("Plan", ("week ending", "tier", "action", "why"), rows)

    def print_estimate(self, plan: Plan) -> None:
        """Print the cost of the plan at FINRA, if it asks FINRA."""
        estimated = estimate(plan)
        if estimated is not None:
            self.line(str(estimated))

    def show_plan(self, plan: Plan) -> int:
        """A dry run: the plan, and nothing else."""
        if self.as_json:
            self.document({"plan": [_as_document(step) for step in lifecycle.remaining(plan).steps]})
        self.print_plan(plan)
        self.print_estimate(plan)
        return 0

    def run_plan(self, plan: Plan, options: dict[str, Any]) -> int:
        """Execute the plan with an engine, or resume its interrupted run; print the summary, return the exit code."""
        if self.goes_to_workers(queue=options["queue"], no_wait=options["no_wait"]):
            return self._run_on_queue(plan, wait=not options["no_wait"])
        return self._run_embedded(plan)

    def run_here(self, plan: Plan, source: Source) -> int:
        """Work on the plan without an engine, from a source that no run can name: a file by hand."""
        with liveness.working() as worker:
            run = self._begun(plan, worker)
            with self.failures_of_the_machine(run), progress_of(run, self) as progress:
                in_process.execute(run, source, progress)
        return self.report_and_tell(run)

    def _run_embedded(self, plan: Plan) -> int:
        """Run the plan in this process. Told to stop, it finishes partitions under way; the same command resumes the run."""
        with liveness.working() as worker:
            return self.work_off(self._begun(plan, worker), worker)

    def _begun(self, plan: Plan, worker: str) -> Run:
        """The run that this process works on: the interrupted one of the same request, or a new one."""
        self.recover(worker)
        start = partial(lifecycle.start, plan, worker)
        return self._resumed(plan, worker) or operations.start_run(plan, start)

    def _run_on_queue(self, plan: Plan, *, wait: bool) -> int:
        self.recover()
        run = (
            self._sent_again(plan) or self._under_way(plan) or operations.start_run(plan, partial(canvas.launch, plan))
        )
        return self.follow(run, wait=wait)

    def _sent_again(self, plan: Plan) -> Run | None:
        run = self._resumed(plan)
        if run is not None:
            canvas.resume(run)
        return run

    def _under_way(self, plan: Plan) -> Run | None:
        run = lifecycle.queued(plan)
        if run is not None:
            self.line(f"Run {run.pk} is under way at the workers.")
        return run

    def _resumed(self, plan: Plan, worker: str = "") -> Run | None:
        run = lifecycle.resumable(plan, worker)
        if run is not None:
            done = run.partitions.exclude(outcome="").count()
            operations.log_resumption(plan, run)
            self.line(f"Resuming run {run.pk}: {done} of {run.partitions.count()} partitions are done.")
        return run


def _as_document(step: Step) -> dict[str, object]:
    return {"week_ending": step.key.week_ending, "tier": step.key.tier, "action": step.action, "reason": step.reason}
