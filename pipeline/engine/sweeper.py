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

# Every process that sweeps does so this often. The work of a message, a partition in an empty queue or a chord's body,
# gets so long to begin before it is taken to be lost.
SWEEP_SECONDS = 15
LOST_AFTER = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Recovered:
    """The findings of a sweep: runs whose process died, partitions requeued, failed and resent, weeks closed, runs ended.

    `known_now` are captures that a clock which was ahead had known only in the future.
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
        """Whether everything was as it should be."""
        return not any(
            (self.interrupted, self.requeued, self.failed, self.resent, self.closed, self.ended, self.known_now)
        )


def report_alive() -> None:
    """Write in the ledger that a worker is here: with its first sweep, and with each minute's."""
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
    """Have what was sent a while ago, has not begun, and waits in no queue, sent again; how many that were.

    A worker or a broker has died with the message. One that a worker has just taken is sent twice then, and is claimed once.
    """
    sent = recovery.sent_before(worker, before)
    return sent.update(sent_at=None) if sent.exists() and canvas.is_queue_empty() else 0
