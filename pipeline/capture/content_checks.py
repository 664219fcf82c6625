"""Anomalies that a vintage's content opens, and those that it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

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


def anomalies(content: Content, capture: Capture, run: Run | None) -> list[Anomaly]:
    """The anomalies of a vintage whose rows are being stored, not saved yet; ends one that is over."""
    partition = capture.partition
    found = [*_of_rejects(content, partition, run), *_of_totals(content, partition, run)]
    if odd := str(content.oddities):
        found.append(_of(Category.ODD_ROWS, Severity.WARN, odd, partition, run))
    return [*found, *_of_unknown_fields(content.oddities.fields, run)]


def _of_rejects(content: Content, partition: Partition, run: Run | None) -> Iterator[Anomaly]:
    if not content.rejects:
        return
    first = content.rejects[0]
    message = f"{len(content.rejects):,} of {content.rows_in:,} rows rejected; first: line {first.line}, {first.reason}"
    if content.misplaced > (content.misplaced + content.rows_non_ats) * settings.MARKETSPINE_MAX_REJECT_SHARE:
        message = f"{_misplaced(content, partition)}; {message}"
        yield _of(Category.REJECTED_ROWS, Severity.ERROR, message, partition, run)
    else:
        yield _of(Category.REJECTED_ROWS, Severity.WARN, message, partition, run)


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
    Anomaly.objects.record_each(*_of_totals(content, partition, run))


def _of_totals(content: Content, partition: Partition, run: Run | None) -> Iterator[Anomaly]:
    controls = content.controls
    if controls is None:
        return
    if not controls.differing:
        endings.reconciled(partition, run)
        return
    which = f"{controls.differing:,} of {controls.symbols:,} symbols do not add up to FINRA's totals"
    message = f"{which}; the largest: {'; '.join(map(str, controls.largest))}"
    yield _of(Category.UNRECONCILED, Severity.ERROR, message, partition, run)


def _of_unknown_fields(fields: frozenset[str], run: Run | None) -> Iterator[Anomaly]:
    """New fields of the source are told once, for no week: from now on every row has them."""
    if not fields:
        return
    message = (
        f"the source's rows have fields that this version does not read: {', '.join(sorted(fields))}. They are kept in the "
        "archived payloads; a version that knows them can read them from there"
    )
    if not Anomaly.objects.filter(category=Category.UNKNOWN_FIELDS, message=message).exists():
        yield Anomaly.of(Category.UNKNOWN_FIELDS, Severity.WARN, message, stage=Stage.NORMALIZED, run=run)


def _of(category: Category, severity: Severity, message: str, partition: Partition, run: Run | None) -> Anomaly:
    return Anomaly.of(category, severity, message, partition=partition, stage=Stage.NORMALIZED, run=run)
