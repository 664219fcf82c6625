"""Anomalies about lost files: each is an ERROR, ends by itself when the file is back, and has its week judged again.

A person who resolves one accepts the loss: no other is opened until the file has been back in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date

from django.db import Error
from django.db.models import F, Q, QuerySet

from pipeline.integrity import lost_symbols, restoring
from pipeline.integrity.restoring import Orphan
from pipeline.models import Anomaly, Category, Readiness, Run, Severity, Stage
from pipeline.models.anomaly import MARKETSPINE, NotOpen
from pipeline.models.data_kinds import manage_py
from pipeline.vintages import file_checks, holdings, records
from pipeline.vintages.holdings import Holdings, Lost
from pipeline.weeks import readiness, symbols

logger = logging.getLogger(__name__)

SHOWN = 3
OF_ALL = Q(partition__isnull=True, week_ending__isnull=True)
BEHIND = Q(category=Category.LEDGER_BEHIND)
ABOUT_ARCHIVE = BEHIND | Q(category=Category.ARCHIVE_DAMAGED) & (OF_ALL | ~Q(payload_sha256=""))


def check(today: date, *, read: int = 0, run: Run | None = None) -> Holdings:
    """Check that the archive has its files, and read `read` of them whole; open and end anomalies, judge their weeks again.

    A storage that fails in an unknown way counts as an archive that is gone, and the caller goes on. Database errors are
    raised.
    """
    try:
        held, weeks = _checked(read, run)
    except Error:
        raise
    except Exception as error:
        logger.exception("the archive cannot be looked at")
        gone = f"the archive cannot be looked at: {type(error).__name__}: {error}"
        held = Holdings({}, frozenset(), (), gone)
        weeks = _say(Category.ARCHIVE_DAMAGED, gone, run)
    for week in sorted(weeks & set(Readiness.objects.judged_weeks())):
        readiness.decide_week(week, today)
    return held


def _checked(read: int, run: Run | None) -> tuple[Holdings, set[date]]:
    """The holdings of the archive, and the weeks to be judged again."""
    if read:
        holdings.read_in_turn(read)
        file_checks.record_read(symbols.read_newest(read))
    held = holdings.holdings()
    holdings.record_existence(held)
    weeks = _open(held, run) | _end(held)
    return held, weeks if held.gone else weeks | lost_symbols.check(run) | _compare_with_records(run)


def standing() -> QuerySet[Anomaly]:
    """The open anomalies about the archive, those of all weeks first. While there is one, no run is good."""
    found = Anomaly.objects.open().filter(ABOUT_ARCHIVE).select_related("partition")
    return found.order_by(F("partition").asc(nulls_first=True), "pk")


def unaccepted(lost: Iterable[Lost]) -> list[Lost]:
    """The losses that no person has accepted."""
    accepted = {(a.partition_id, a.payload_sha256): a.resolved_at for a in _accepted().exclude(BEHIND)}
    of_all = accepted.get((None, ""))
    return [one for one in lost if not any(at and at >= one.since for at in (accepted.get(_key(one)), of_all))]


def is_gone(held: Holdings) -> bool:
    """Whether the archive as a whole is lost, and no person has accepted that."""
    return held.gone is not None and bool(unaccepted(held.lost))


def _accepted() -> QuerySet[Anomaly]:
    resolved = Anomaly.objects.filter(ABOUT_ARCHIVE, resolved_at__isnull=False)
    return resolved.exclude(resolved_by=MARKETSPINE).order_by("resolved_at")


def _key(one: Lost) -> tuple[int, str]:
    return one.capture.partition_id, one.needed.sha256


def _open(held: Holdings, run: Run | None) -> set[date]:
    """Open an anomaly for each new loss; the weeks concerned."""
    if held.gone is not None:
        return _open_for_all(held, held.gone, run)
    said = {(anomaly.partition_id, anomaly.payload_sha256) for anomaly in standing().exclude(BEHIND)}
    lost = [one for one in unaccepted(held.lost) if _key(one) not in said]
    for one in lost:
        Anomaly.objects.record(
            Category.ARCHIVE_DAMAGED,
            Severity.ERROR,
            one.sentence,
            partition=one.capture.partition,
            stage=one.needed.stage,
            run=run,
            payload_sha256=one.needed.sha256,
        )
    return {one.capture.partition.week_ending for one in lost}


def _open_for_all(held: Holdings, gone: str, run: Run | None) -> set[date]:
    if standing().exclude(BEHIND).filter(OF_ALL).exists() or not is_gone(held):
        return set()
    return _say(Category.ARCHIVE_DAMAGED, gone, run)


def _say(category: Category, message: str, run: Run | None) -> set[date]:
    """Open an anomaly of all weeks; the weeks concerned."""
    anomaly = Anomaly.objects.record(category, Severity.ERROR, message, stage=Stage.RAW, run=run)
    return set(anomaly.weeks_concerned)


def _end(held: Holdings) -> set[date]:
    """Resolve the anomalies whose file is back; the weeks concerned. While the archive is gone, none is known to be."""
    if held.gone:
        return set()
    lost = {_key(one) for one in held.lost}
    over = [
        anomaly
        for anomaly in standing().exclude(BEHIND | lost_symbols.ABOUT_SYMBOLS)
        if (anomaly.partition_id, anomaly.payload_sha256) not in lost
    ]
    return _resolve(over, "the archive has it again, or no capture needs it")


def _compare_with_records(run: Run | None) -> set[date]:
    """Compare both ways: the archive gets a record of each capture, and captures that the ledger lacks are an anomaly."""
    records.confirm_all()
    lacking = restoring.lacking()
    if not lacking:
        return _resolve(standing().filter(BEHIND), "the ledger has all that the archive knows of")
    if standing().filter(BEHIND & OF_ALL).exists():
        return set()
    return _say(Category.LEDGER_BEHIND, behind(lacking), run)


def behind(lacking: Sequence[Orphan]) -> str:
    """The captures that the ledger lacks, in a sentence."""
    named = ", ".join(one.record.capture_id for one in lacking[:SHOWN])
    more = f" and {len(lacking) - SHOWN:,} more" if len(lacking) > SHOWN else ""
    return (
        f"the archive has {len(lacking):,} captures that the ledger lacks: {named}{more}. Was an older database restored? "
        f"`{manage_py()} restore_captures` restores them"
    )


def _resolve(anomalies: Iterable[Anomaly], note: str) -> set[date]:
    weeks: set[date] = set()
    for anomaly in anomalies:
        with suppress(NotOpen):  # a person was quicker
            anomaly.resolve(by=MARKETSPINE, note=note)
        weeks.update(anomaly.weeks_concerned)
    return weeks
