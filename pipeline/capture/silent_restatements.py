"""Restatements that FINRA's own dates do not tell: rows whose figures changed, and whose lastUpdateDate stayed."""

from __future__ import annotations

from pipeline.capture.late_restatements import mover
from pipeline.capture.vintage import Vintage
from pipeline.checkpoints import checkpoints
from pipeline.models import Anomaly, Capture, CaptureKind, Category, Run, Severity, Stage
from pipeline.vintages.compare import CHANGED_SILENTLY, Changes, Difference, movers

MOVERS_TOLD = 3


@checkpoints("restatement.silent")
def anomalies(vintage: Vintage, capture: Capture, run: Run | None) -> list[Anomaly]:
    """Of a restatement in which rows changed silently, an INFO that says how many and which; it is not saved yet.

    It stands against no verdict: the figures are those that the source has now, and lastUpdateDate never
    overrules. But FINRA moves the date of what it restates, so a person may ask whether the file was altered on its way.
    Where one source followed the other, only the columns that both have count: the web file has no notional.
    """
    changes = vintage.comparable
    if capture.kind != CaptureKind.RESTATEMENT or vintage.base is None or changes is None:
        return []
    silent = changes.rows.filter(CHANGED_SILENTLY)
    if silent.is_empty():
        return []
    difference = Difference(vintage.base, capture, Changes(0, silent.height, 0, 0, silent))
    largest = "; ".join(map(mover, movers(difference, 0, MOVERS_TOLD)))
    message = (
        f"version {capture.version}, captured on {capture.captured_on}: {silent.height:,} of {changes.changed:,} changed "
        f"rows kept their lastUpdateDate. The largest: {largest}"
    )
    seen = Anomaly.of(
        Category.RESTATED_SILENTLY,
        Severity.INFO,
        message,
        partition=capture.partition,
        stage=Stage.NORMALIZED,
        run=run,
        payload_sha256=capture.payload_sha256,
    )
    return [seen]
