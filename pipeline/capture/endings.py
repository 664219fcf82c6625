"""Ending anomalies by themselves: a capture or a check proves that one is over (docs/adr/0029).

Called in the transaction that writes the proof. Anomalies that a person has to judge (rejected rows of the current capture,
implausible figures, late and silent restatements) wait for one.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import date

from django.db.models import Q

from pipeline.finra.calendar import PartitionKey
from pipeline.models import Anomaly, Capture, Category, Partition, Run, Stage
from pipeline.models.anomaly import MARKETSPINE, AnomalyQuerySet, NotOpen

ANSWERED = Q(category=Category.FETCH_FAILED)
BROKE_DOWN = Q(category__in=(Category.STALLED, Category.INTERNAL))
FETCHED = (
    ANSWERED
    | Q(category__in=(Category.LATE, Category.REFUSED, Category.UNREADABLE))
    | BROKE_DOWN & ~Q(stage=Stage.NORMALIZED)
)
TAKEN = Q(category__in=(Category.REFUSED, Category.UNREADABLE)) | BROKE_DOWN & ~Q(stage=Stage.NORMALIZED)
CONTRADICTING = Q(category=Category.REJECTED_ROWS)
STORED = Q(category=Category.ARCHIVE_DAMAGED, payload_sha256="") | BROKE_DOWN & Q(stage=Stage.NORMALIZED)


def answered(key: PartitionKey, run: Run | None) -> None:
    """The source was reached, and has nothing of the partition."""
    failed = Anomaly.objects.open().filter(ANSWERED, partition__in=Partition.objects.for_keys([key]))
    _end(failed, "the source answered: it has nothing of it", run)


def is_in_doubt(partition: Partition) -> bool:
    """Whether the source had something that could not be taken: only another look at that says that it is over."""
    return _of(partition).filter(TAKEN).exists()


def found_as_held(held: Capture, run: Run | None, *, nothing_besides: bool) -> None:
    """The source was reached, and has what is held; with `nothing_besides`, no line of it contradicts a row any more."""
    over = FETCHED | CONTRADICTING if nothing_besides and not held.rows_rejected else FETCHED
    found = list(_of(held.partition).filter(over))
    contradicting = [anomaly for anomaly in found if anomaly.category == Category.REJECTED_ROWS]
    fetched = [anomaly for anomaly in found if anomaly not in contradicting]
    _end(fetched, f"the source has what {held} holds", run)
    _end(contradicting, f"the source has what {held} holds, and nothing besides", run)


def captured(capture: Capture, run: Run | None) -> None:
    """A new vintage was archived."""
    _end(_of(capture.partition).filter(FETCHED), f"captured as {capture.capture_id}", run)


def annulled(capture: Capture, run: Run | None) -> None:
    """An operator took a capture back: what FINRA's dates did not tell of it is no longer in the latest rows."""
    silent = _of(capture.partition).filter(category=Category.RESTATED_SILENTLY, payload_sha256=capture.payload_sha256)
    _end(silent, f"{capture} was annulled", run)


def stored(capture: Capture, run: Run | None) -> None:
    """The rows of a vintage were read from its payload, and stored; the lines that an earlier one lacked are history."""
    over = STORED | Q() if capture.rows_rejected else STORED | CONTRADICTING
    _end(_of(capture.partition).filter(over), f"the rows of {capture.capture_id} are stored", run)


def read_back(held: Capture, run: Run | None) -> None:
    """The payload held was read from the archive again, and holds the rows that are stored."""
    _end(_of(held.partition).filter(STORED), f"the payload of {held} reads as its rows", run)


def reconciled(partition: Partition, run: Run | None) -> None:
    """The rows add up to the source's own totals."""
    of_totals = _of(partition).filter(category=Category.UNRECONCILED)
    _end(of_totals, "the rows add up to FINRA's totals by now", run)


def calculated(week_ending: date, run: Run | None) -> None:
    """The week's analytics are computed from its newest captures."""
    failed = Anomaly.objects.open().filter(week_ending=week_ending, category=Category.CALC_FAILED)
    _end(failed, "the analytics are computed", run)


def resembles_its_neighbours(anomaly: Anomaly, capture: Capture, run: Run | None) -> None:
    """The weeks captured around an implausible one since are like it: another was the odd one."""
    implausible = Anomaly.objects.open().filter(pk=anomaly.pk)
    _end(implausible, f"the weeks captured around it since are like {capture}", run)


def offered(run: Run) -> None:
    """The source had something of what a run asked for."""
    _end(Anomaly.objects.open().filter(category=Category.NOT_OFFERED), "the source offered something", run)


def _of(partition: Partition) -> AnomalyQuerySet:
    return Anomaly.objects.open().filter(partition=partition)


def _end(anomalies: Iterable[Anomaly], why: str, run: Run | None) -> None:
    note = f"run {run.pk}: {why}" if run else why
    for anomaly in anomalies:
        with suppress(NotOpen):  # a person was quicker
            anomaly.resolve(by=MARKETSPINE, note=note)
