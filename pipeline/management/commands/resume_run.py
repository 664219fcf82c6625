"""`manage.py resume_run`: go on with a run that stopped before its end."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.management.base import BadArguments, operator
from pipeline.management.run_command import RunCommand
from pipeline.models import Run, RunStatus
from pipeline.operations import Order, Refused
from pipeline.runs import liveness


class Command(RunCommand):
    """Go on with a run that was stopped, or whose process died: only what it left is done."""

    help = (
        "Go on with a run that was stopped, or whose process died: what it has done is not done again. A run of an earlier "
        "day is cancelled, and a new run of today does what it left. Exit code: 0 every due partition is good, 1 finished "
        "and something is not good, 2 there is no such run, or it did not stop."
    )
    examples = (
        ("resume_run 4", "go on with run 4 here"),
        ("resume_run 4 --queue --no-wait", "have the workers go on with it"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The run, the person who resumes it, the reason, and the engine."""
        parser.add_argument("run", type=int, metavar="RUN", help="its number, as doctor prints it")
        parser.add_argument("--reason", default="", help="why, for the record")
        parser.add_argument("--by", default=operator(), help="who resumes it (default: %(default)s)")
        self.add_engine_arguments(parser)

    def work(self, **options: Any) -> int:
        """Resume it, here or at the workers; print what it came to."""
        on_queue = self.goes_to_workers(queue=options["queue"], no_wait=options["no_wait"])
        run = Run.objects.filter(pk=options["run"]).first()
        if run is None:
            raise BadArguments(f"there is no run {options['run']}")
        order = Order(operator=options["by"], reason=options["reason"])
        if on_queue:
            return self.follow(self._at_the_workers(run, order), wait=not options["no_wait"])
        with liveness.working() as worker:
            return self.work_off(self._resumed(run, order, worker), worker)

    def _at_the_workers(self, run: Run, order: Order) -> Run:
        """The run that the workers have, resumed unless they have it already."""
        if run.status == RunStatus.RUNNING and not run.worker:
            self.line(f"Run {run.pk} is under way at the workers.")
            return run
        return self._resumed(run, order)

    def _resumed(self, run: Run, order: Order, worker: str = "") -> Run:
        """The run under way again, or the new one that does what it left."""
        self.recover(worker)
        try:
            entry = operations.resume(run, order, worker)
        except Refused as refusal:
            raise BadArguments(str(refusal)) from refusal
        if entry.run is None:
            raise LookupError(f"the entry {entry.pk} of the operator log names no run")
        self.line(entry.sentence)
        return entry.run
