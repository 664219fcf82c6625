"""Ending anomalies by themselves: a capture or a check proves that one is over (docs/adr/0029).

Called in the transaction that writes the proof. Anomalies that a person has to judge (rejected rows of the current capture,
implausible figures, late and silent restatements) wait for one.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import date

from pipeline.finra.calendar import PartitionKey
from pipeline.models import Anomaly, Capture, Category, Partition, Run, Stage
from pipeline.models.anomaly import MARKETSPINE, AnomalyQuerySet, NotOpen

BROKE_DOWN = (Category.STALLED, Category.INTERNAL)
OVER_WHEN_FETCHED = (Category.FETCH_FAILED, Category.LATE, Category.REFUSED, Category.UNREADABLE)
NOT_TAKEN = (Category.REFUSED, Category.UNREADABLE)
END_BY_THEMSELVES = (*BROKE_DOWN, *OVER_WHEN_FETCHED, Category.REJECTED_ROWS, Category.ARCHIVE_DAMAGED)


def answered(key: PartitionKey, run: Run | None) -> None:
    """The source was reached, and has nothing of the partition."""
    failed = Anomaly.objects.open().filter(
        category=Category.FETCH_FAILED, partition__in=Partition.objects.for_keys([key])
    )
    _end(failed, "the source answered: it has nothing of it", run)


def is_in_doubt(partition: Partition) -> bool:
    """Whether the source had something that could not be taken: only another look at that says that it is over."""
    return any(one.category in NOT_TAKEN or _broke_down_before_rows(one) for one in _open(partition))


def found_as_held(held: Capture, run: Run | None, *, nothing_besides: bool) -> None:
    """The source was reached, and has what is held; with `nothing_besides`, no line of it contradicts a row any more."""
    found = _open(held.partition)
    _end(filter(_is_of_fetching, found), f"the source has what {held} holds", run)
    if nothing_besides and not held.rows_rejected:
        _end(filter(_is_of_rejects, found), f"the source has what {held} holds, and nothing besides", run)


def captured(capture: Capture, run: Run | None, *, fetched: bool, stored: bool) -> None:
    """A vintage was fetched and archived; or its rows were read from its payload and stored; or both.

    Lines that an earlier one lacked are history, once rows are stored that lack none.
    """
    found = _open(capture.partition)
    if fetched:
        _end(filter(_is_of_fetching, found), f"captured as {capture.capture_id}", run)
    if stored:
        over = [one for one in found if _is_of_reading(one) or (_is_of_rejects(one) and not capture.rows_rejected)]
        _end(over, f"the rows of {capture.capture_id} are stored", run)


def annulled(capture: Capture, run: Run | None) -> None:
    """An operator took a capture back: what FINRA's dates did not tell of it is no longer in the latest rows."""
    silent = _of(capture.partition).filter(category=Category.RESTATED_SILENTLY, payload_sha256=capture.payload_sha256)
    _end(silent, f"{capture} was annulled", run)


def read_back(held: Capture, run: Run | None) -> None:
    """The payload held was read from the archive again, and holds the rows that are stored."""
    _end(filter(_is_of_reading, _open(held.partition)), f"the payload of {held} reads as its rows", run)


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


def _is_of_fetching(anomaly: Anomaly) -> bool:
    return anomaly.category in OVER_WHEN_FETCHED or _broke_down_before_rows(anomaly)


def _broke_down_before_rows(anomaly: Anomaly) -> bool:
    return anomaly.category in BROKE_DOWN and anomaly.stage != Stage.NORMALIZED


def _is_of_reading(anomaly: Anomaly) -> bool:
    """Whether it is of the rows of an archived payload; a lost file of the archive, which it names, ends when it is back."""
    if anomaly.category == Category.ARCHIVE_DAMAGED:
        return not anomaly.payload_sha256
    return anomaly.category in BROKE_DOWN and anomaly.stage == Stage.NORMALIZED


def _is_of_rejects(anomaly: Anomaly) -> bool:
    return anomaly.category == Category.REJECTED_ROWS


def _open(partition: Partition) -> list[Anomaly]:
    """The open anomalies of a partition that a capture or a check may end: few, so one simple question finds all."""
    return list(_of(partition).filter(category__in=END_BY_THEMSELVES))


def _of(partition: Partition) -> AnomalyQuerySet:
    return Anomaly.objects.open().filter(partition=partition)


def _end(anomalies: Iterable[Anomaly], why: str, run: Run | None) -> None:
    note = f"run {run.pk}: {why}" if run else why
    for anomaly in anomalies:
        with suppress(NotOpen):  # a person was quicker
            anomaly.resolve(by=MARKETSPINE, note=note)
