"""What brings stalled runs to their end: from beat each minute, at the start of each run, and by hand.

Idempotent, and safe on every machine at once: each piece of work is a conditional UPDATE, or under a lock that others skip.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from pipeline import canvas, clock, runs, steps, workers
from pipeline.models import Run, RunStatus, WorkerSign

# A chord's body gets a tenth of the time after which a message is taken to be lost; then the sweeper closes the week.
PATIENCE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found: runs whose process died, partitions put back, given up and recalled, weeks closed, runs ended.

    `known_now` are captures that a clock which was ahead had known only in the future.
    """

    interrupted: list[int]
    put_back: int
    given_up: int
    recalled: int
    closed: int
    ended: list[int]
    known_now: tuple[str, ...] = ()

    @property
    def found_nothing(self) -> bool:
        """Whether everything was as it should be."""
        return not any(
            (self.interrupted, self.put_back, self.given_up, self.recalled, self.closed, self.ended, self.known_now)
        )


def show_up() -> None:
    """Leave a sign that a worker is here: with its first sweep, and with each minute's."""
    WorkerSign.objects.update_or_create(machine=workers.machine(), defaults={"seen_at": timezone.now()})


def sweep(worker: str = "") -> Swept:
    """Take back what died, wherever; then bring the runs of the queue on, or the one that ends with the process `worker`.

    What a process has in its memory is its own to send.
    """
    known_now = tuple(map(str, clock.mend_captures()))
    interrupted = [run.pk for run in runs.take_back_dead()]
    put_back, given_up = steps.take_back_stalled()
    recalled = steps.recall_unstarted()
    before = timezone.now() - timedelta(seconds=PATIENCE_SHARE * settings.MARKETSPINE_RESEND_AFTER_SECONDS)
    closed, ended = 0, []
    for run in Run.objects.filter(status=RunStatus.RUNNING, worker=worker):
        closed += runs.close_complete(run, before)
        canvas.go_on(run)
        if run.status != RunStatus.RUNNING:
            ended.append(run.pk)
    return Swept(interrupted, put_back, given_up, recalled, closed, ended, known_now)
