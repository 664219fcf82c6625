"""Lost files of snapshots' symbols: like a lost vintage file, each is an ERROR anomaly, here of its week.

So exit codes, doctor, dashboard and verdicts answer alike. A person who resolves one accepts the loss, until the file has
been back in between.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime

from django.db.models import Q

from pipeline.models import AnalyticsSnapshot, Anomaly, Category, FileCheck, FileState, Run, Severity, Stage
from pipeline.models.anomaly import MARKETSPINE, NotOpen
from pipeline.vintages import file_checks
from pipeline.weeks import symbols

ABOUT_SYMBOLS = Q(category=Category.ARCHIVE_DAMAGED, partition__isnull=True, week_ending__isnull=False)
BACK = "the archive has it again, or no snapshot needs it"


def check(run: Run | None) -> set[date]:
    """Open an anomaly for each lost file, end those of files that are back; the weeks concerned.

    ArchiveDamaged when the storage cannot be asked.
    """
    lost = symbols.lost()
    damaged = set(FileCheck.objects.filter(state=FileState.DAMAGED).values_list("sha256", flat=True))
    files = AnalyticsSnapshot.objects.values_list("symbols_sha256", flat=True)
    file_checks.record_missing({one.symbols_sha256 for one in lost} - damaged, list(files))
    return _open(lost, run) | _end({one.symbols_sha256 for one in lost})


def unaccepted(lost: list[AnalyticsSnapshot]) -> list[AnalyticsSnapshot]:
    """The snapshots with a lost file whose loss no person has accepted."""
    since = dict(FileCheck.objects.exclude(state=FileState.WHOLE).values_list("sha256", "since"))
    resolved = Anomaly.objects.filter(ABOUT_SYMBOLS, resolved_at__isnull=False).exclude(resolved_by=MARKETSPINE)
    accepted = dict[str, datetime | None](resolved.order_by("resolved_at").values_list("payload_sha256", "resolved_at"))
    return [one for one in lost if not _is_accepted(accepted.get(one.symbols_sha256), since.get(one.symbols_sha256))]


def _is_accepted(accepted: datetime | None, since: datetime | None) -> bool:
    return accepted is not None and since is not None and accepted >= since


def _open(lost: list[AnalyticsSnapshot], run: Run | None) -> set[date]:
    said = set(Anomaly.objects.open().filter(ABOUT_SYMBOLS).values_list("payload_sha256", flat=True))
    fresh = [one for one in unaccepted(lost) if one.symbols_sha256 not in said]
    for one in fresh:
        Anomaly.objects.record(
            Category.ARCHIVE_DAMAGED,
            Severity.ERROR,
            str(symbols.damaged(one, "is missing or damaged")),
            week_ending=one.week_ending,
            stage=Stage.CALC,
            run=run,
            payload_sha256=one.symbols_sha256,
        )
    return {one.week_ending for one in fresh}


def _end(lost: set[str]) -> set[date]:
    over = list(Anomaly.objects.open().filter(ABOUT_SYMBOLS).exclude(payload_sha256__in=lost))
    for anomaly in over:
        with suppress(NotOpen):  # a person was quicker
            anomaly.resolve(by=MARKETSPINE, note=BACK)
    return {week for anomaly in over for week in anomaly.weeks_concerned}
