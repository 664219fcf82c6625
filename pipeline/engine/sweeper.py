"""One sweep: the order in which `runs.recovery` requeues and resends, and runs are then closed and settled.

Idempotent, and safe on every machine at once: each piece of work is a conditional UPDATE, or under a lock that others skip.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from pipeline.checkpoints import checkpoints
from pipeline.engine import canvas
from pipeline.models import Run, RunStatus, Tally, WorkerSign
from pipeline.resilience import clock
from pipeline.runs import close_week, finra_requests, liveness, recovery

# The interval of sweeps in each process; and the time after which a message that has not begun, with an empty queue, is
# taken to be lost.
SWEEP_SECONDS = 15
LOST_AFTER = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Recovered:
    """The findings of a sweep: runs whose process died, partitions requeued, failed and resent, weeks closed, runs ended.

    `known_now` are captures whose rows were known only in the future, by a clock that was ahead, until now.
    """

    interrupted: list[int]
    requeued: int
    failed: int
    resent: int
    closed: int
    ended: list[int]
    known_now: tuple[str, ...] = ()

    @property
    def found_nothing(self) -> bool:
        """Whether the sweep found nothing to do."""
        return not any(
            (self.interrupted, self.requeued, self.failed, self.resent, self.closed, self.ended, self.known_now)
        )


def report_alive() -> None:
    """Write into the ledger that a worker is alive: with its first sweep, and with each minute's."""
    WorkerSign.objects.update_or_create(machine=liveness.machine(), defaults={"seen_at": timezone.now()})


@checkpoints("sweep")
def sweep(worker: str = "") -> Recovered:
    """Requeue the work of dead processes, then advance the runs of the queue, or the run of the process `worker`.

    A message in the memory of a process is resent by that process alone.
    """
    known_now = tuple(map(str, clock.mend_captures()))
    interrupted = [run.pk for run in recovery.requeue_dead()]
    requeued, failed = recovery.requeue_stalled()
    before = timezone.now() - LOST_AFTER
    resent = recovery.resend_unstarted() + _resend_lost(worker, before)
    finra_requests.record()
    Tally.objects.fold()
    closed, ended = 0, []
    for run in Run.objects.under_way().filter(worker=worker):
        closed += close_week.close_complete(run, before)
        canvas.advance(run)
        if run.status != RunStatus.RUNNING:
            ended.append(run.pk)
    return Recovered(interrupted, requeued, failed, resent, closed, ended, known_now)


def _resend_lost(worker: str, before: datetime) -> int:
    """Let messages be sent again that were sent a while ago, have not begun, and wait in no queue; how many.

    A worker or a broker died with the message. A message that a worker has just taken is then sent twice, and claimed once.
    """
    sent = recovery.sent_before(worker, before)
    return sent.update(sent_at=None) if sent.exists() and canvas.is_queue_empty() else 0
