"""`manage.py recover_runs`: what beat does each minute, by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipeline import operations
from pipeline.engine import driver, schedules
from pipeline.engine.sweeper import Recovered
from pipeline.management.base import SpineCommand, operator
from pipeline.models import Act, RunPartition
from pipeline.operations import Order


class Command(SpineCommand):
    """Bring stalled runs to their end."""

    help = (
        "Bring stalled runs to their end: requeue the work of dead processes, resend lost messages, close weeks and runs "
        "with nothing left to do. Idempotent, and safe on every machine at once. Without a broker, what is left of the runs "
        "of `serve` is worked off here. Exit code: 0."
    )
    examples = (("recover_runs", "what the sweep of each minute does; by cron where there is no beat"),)

    def work(self, **_options: Any) -> int:
        """Sweep, say what was found; without a broker, work off what the sweep has sent."""
        mended = schedules.mend()
        recovered = driver.recover(self._print_step)
        sentences = _sentences(recovered, mended)
        if mended or not recovered.found_nothing:
            operations.write_down(Act.RECOVER_RUNS, Order(operator=operator()), (), " ".join(sentences))
        if self.as_json:
            found = asdict(recovered)
            mended_clock = [*mended, *found.pop("known_now")]
            self.document({**found, "clock_was_ahead": mended_clock} if mended_clock else found)
        for line in sentences:
            self.line(line)
        return 0

    def _print_step(self, step: RunPartition) -> None:
        self.line(f"run {step.run_id}: {step.partition} {step.outcome}: {step.reason}")


def _sentences(recovered: Recovered, mended: list[str]) -> list[str]:
    if recovered.found_nothing and not mended:
        return ["Nothing is stalled."]
    counted = {
        "requeued, whose worker died or hung": recovered.requeued,
        "failed, after too many attempts": recovered.failed,
        "resent, which no worker had started": recovered.resent,
    }
    return [
        *(f"The schedule {name!r} waited for a clock that was ahead; it counts from now on." for name in mended),
        *(f"{capture} was to be known in the future; it is known from now on." for capture in recovered.known_now),
        *(f"Run {run} died before its end: `resume_run {run}` goes on with it." for run in recovered.interrupted),
        *(f"{count} partitions {what}." for what, count in counted.items() if count),
        *([f"{recovered.closed} weeks closed that had nothing left to do."] if recovered.closed else []),
        *(f"Run {run} has ended." for run in recovered.ended),
    ]
