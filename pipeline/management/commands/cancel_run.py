"""`manage.py cancel_run`: start no more of a run."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.management.base import BadArguments, SpineCommand, operator
from pipeline.models import Outcome, Run, RunStatus
from pipeline.operations import Order, Refused


class Command(SpineCommand):
    """Cancel a run: what has not started does not start, what is under way finishes, then the run ends."""

    help = (
        "Cancel a run: its partitions that have not started are marked cancelled, those under way finish, and the run "
        "ends CANCELLED. What was captured stays. Exit code: 0 cancelled, 2 there is no such run, or it has ended."
    )
    examples = (("cancel_run 3 --reason 'wrong range'", "start no more of run 3"),)

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The run, the person who cancels it, and the reason."""
        parser.add_argument("run", type=int, metavar="RUN", help="its number, as run_weekly and backfill print it")
        parser.add_argument("--reason", default="", help="why, for the record")
        parser.add_argument("--by", default=operator(), help="who cancels it (default: %(default)s)")

    def work(self, **options: Any) -> int:
        """Cancel it, say what that did."""
        run = Run.objects.filter(pk=options["run"]).first()
        if run is None:
            raise BadArguments(f"there is no run {options['run']}")
        if run.status not in (RunStatus.RUNNING, RunStatus.INTERRUPTED):
            raise BadArguments(f"run {run.pk} has ended already: {run.status}")
        before = _cancelled(run)
        try:
            operations.cancel(run, Order(operator=options["by"], reason=options["reason"]))
        except Refused as error:
            raise BadArguments(str(error)) from error
        cancelled = _cancelled(run) - before
        if self.as_json:
            self.document({"run": run.pk, "status": run.status, "cancelled": cancelled})
        self.line(f"Run {run.pk}: {cancelled} of {run.partitions.count()} partitions cancelled. It is {run.status}.")
        return 0


def _cancelled(run: Run) -> int:
    return run.partitions.filter(outcome=Outcome.CANCELLED).count()
