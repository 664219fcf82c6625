"""Anomalies that a vintage's content opens, and those that it ends."""

from __future__ import annotations

from collections import Counter

from django.conf import settings

from pipeline.capture import endings
from pipeline.finra.content import Content
from pipeline.finra.payloads import PartName
from pipeline.finra.plain_text import shortened
from pipeline.finra.rejects import RejectReason
from pipeline.finra.sources.files.file_names import file_name
from pipeline.models import Anomaly, Capture, Category, Partition, Reject, Run, Severity, Stage
from pipeline.models.anomaly import MARKETSPINE

SHOWN_OF_A_LINE = 200  # characters


def record_anomalies(content: Content, capture: Capture, run: Run | None) -> None:
    """Record the anomalies of a vintage whose rows are being stored."""
    partition = capture.partition
    if content.rejects:
        first = content.rejects[0]
        message = (
            f"{len(content.rejects):,} of {content.rows_in:,} rows rejected; first: line {first.line}, {first.reason}"
        )
        if content.misplaced > (content.misplaced + content.rows_non_ats) * settings.MARKETSPINE_MAX_REJECT_SHARE:
            _record(
                Category.REJECTED_ROWS, Severity.ERROR, f"{_misplaced(content, partition)}; {message}", partition, run
            )
        else:
            _record(Category.REJECTED_ROWS, Severity.WARN, message, partition, run)
    if odd := str(content.oddities):
        _record(Category.ODD_ROWS, Severity.WARN, odd, partition, run)
    _tell_unknown_fields(content.oddities.fields, run)
    check_totals(partition, content, run)


def record_contradictions(held: Capture, content: Content, payload_sha256: str, run: Run | None) -> bool:
    """Record further lines of a payload with the held rows that have the key of such a row; whether there are any.

    A further line may have other figures, and be the right one. Lines that the held capture had, too, are told already.
    """
    repeated = [reject.text for reject in content.rejects if reject.reason is RejectReason.DUPLICATE_KEY]
    known = Reject.objects.filter(capture=held, reason=RejectReason.DUPLICATE_KEY).values_list("text", flat=True)
    fresh = Counter(repeated) - Counter(known)
    if not fresh or _is_accepted(held.partition, payload_sha256):
        return False
    first = shortened(next(iter(fresh)), SHOWN_OF_A_LINE)
    message = (
        f"the source has the rows of {held}, and {fresh.total():,} lines besides with the keys of some of them "
        f"({RejectReason.DUPLICATE_KEY}); the first: {first!r}"
    )
    Anomaly.objects.record(
        Category.REJECTED_ROWS,
        Severity.WARN,
        message,
        partition=held.partition,
        stage=Stage.NORMALIZED,
        run=run,
        payload_sha256=payload_sha256,
    )
    return True


def _is_accepted(partition: Partition, payload_sha256: str) -> bool:
    """Whether a person has looked at the rejects of just this payload before."""
    of_payload = Anomaly.objects.filter(partition=partition, category=Category.REJECTED_ROWS)
    resolved = of_payload.filter(payload_sha256=payload_sha256, resolved_at__isnull=False)
    return resolved.exclude(resolved_by=MARKETSPINE).exists()


def _misplaced(content: Content, partition: Partition) -> str:
    of = content.misplaced + content.rows_non_ats
    right = file_name(partition.key, PartName.NON_ATS)
    return (
        f"{content.misplaced:,} of {of:,} rows of the non-ATS file name an MPID, as ATS rows do: is it the ATS file once "
        f"more? The ATS rows are stored; put FINRA's non-ATS file under {right}, or into ingest_file --nonats"
    )


def check_totals(partition: Partition, content: Content, run: Run | None) -> None:
    """Compare the rows with the source's own totals by symbol, where it gives some; agreement ends the anomaly."""
    controls = content.controls
    if controls is None:
        return
    if not controls.differing:
        endings.reconciled(partition, run)
        return
    which = f"{controls.differing:,} of {controls.symbols:,} symbols do not add up to FINRA's totals"
    message = f"{which}; the largest: {'; '.join(map(str, controls.largest))}"
    _record(Category.UNRECONCILED, Severity.ERROR, message, partition, run)


def _tell_unknown_fields(fields: frozenset[str], run: Run | None) -> None:
    """Tell new fields of the source once, for no week: from now on every row has them."""
    if not fields:
        return
    message = (
        f"the source's rows have fields that this version does not read: {', '.join(sorted(fields))}. They are kept in the "
        "archived payloads; a version that knows them can read them from there"
    )
    if not Anomaly.objects.filter(category=Category.UNKNOWN_FIELDS, message=message).exists():
        Anomaly.objects.record(Category.UNKNOWN_FIELDS, Severity.WARN, message, stage=Stage.NORMALIZED, run=run)


def _record(category: Category, severity: Severity, message: str, partition: Partition, run: Run | None) -> None:
    Anomaly.objects.record(category, severity, message, partition=partition, stage=Stage.NORMALIZED, run=run)
