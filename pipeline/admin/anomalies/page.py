"""The page of an anomaly: the next step, its run and payload, and who resolved and reopened it."""

from __future__ import annotations

from typing import Any

from pipeline.admin.shared.base import badge, link
from pipeline.admin.shared.lines import acts_on
from pipeline.admin.shared.market_links import week_link
from pipeline.models import Anomaly, Category, Readiness
from pipeline.models.anomaly import MARKETSPINE

NEXT_STEPS = {
    Category.LATE: (
        "FINRA's day for it has passed. See whether the source has the file now; if so, re-ingest the partition, and this "
        "resolves itself. If FINRA has put it off for a holiday, leave it open until it comes."
    ),
    Category.FETCH_FAILED: (
        "The source did not deliver. See whether it can be reached and holds the file, then retry: re-ingest the partition."
    ),
    Category.UNREADABLE: (
        "The payload is archived as it came. Look at the file: an error page, or one cut short: put the right one "
        "in its place and re-ingest; where FINRA has changed the format, mend the parser and re-ingest."
    ),
    Category.REJECTED_ROWS: (
        "Look at the rejects of the capture, line by line with reasons. Where FINRA wrote them wrongly, resolve with that "
        "note; where the parser is at fault, mend it, then re-normalize from the archive."
    ),
    Category.REFUSED: (
        "What is captured stands. Look at the file that the message names: where it is cut short, another week's or one of "
        "two, put the right one in its place and re-ingest; where FINRA really published this, force the re-ingest of the "
        "partition with a reason. What was refused is archived."
    ),
    Category.ODD_ROWS: (
        "The rows are kept as far as they can be read. Look at them in the payload; if they are FINRA's, resolve this with "
        "a note."
    ),
    Category.UNKNOWN_FIELDS: (
        "FINRA has added fields. Nothing is lost: they are in the archived payloads. Look for a newer version of the "
        "product that reads them, then resolve this."
    ),
    Category.UNRECONCILED: (
        "FINRA's rows by symbol and firm do not add up to its rows by symbol, in two readings: it may have been in the "
        "midst of a restatement. Re-ingest later: this ends by itself when they agree. "
        "If it stays, resolve it with a note on the symbols that are named."
    ),
    Category.RESTATED_LATE: (
        "Nothing is to be mended. Whoever has used the week since its publication may want to know what moved: the "
        "capture's page compares it with the vintage before. Resolve when they know."
    ),
    Category.RESTATED_SILENTLY: (
        "The week stays as ready as it is. The capture's page compares it with the vintage before: see the rows that "
        "changed and kept their date. Where FINRA's own page shows the same figures, resolve with that note. Where the file "
        "was altered on its way, annul the capture, put FINRA's file in its place and re-ingest: annulling ends this."
    ),
    Category.IMPLAUSIBLE: (
        "The week is captured and is not READY. Compare it with the weeks around it: one of them may be half a file, or in "
        "other units. Where this one is wrong, put the right files in place and force the re-ingest; where the market was "
        "so, resolve with that note. It ends by itself when the weeks captured around it turn out to be like it."
    ),
    Category.NOT_OFFERED: (
        "The source answered and had nothing of what is held: an empty folder, or one whose volume is not mounted. What is "
        "captured stands. Bring the source back and run again; it ends by itself when the source has something."
    ),
    Category.ARCHIVE_DAMAGED: (
        "A vintage file is made again from its payload: `python manage.py rebuild_vintages`. A payload comes back when its "
        "partition is re-ingested while the source still has the same bytes. Otherwise restore the file from a backup of "
        "the archive, and run `python manage.py check_archive`; this ends by itself then. To resolve it by hand is to "
        "accept the loss."
    ),
    Category.LEDGER_BEHIND: (
        "An older database was restored, and its archive has captures made since. `python manage.py restore_captures` takes "
        "them back, with their ids and instants; this ends by itself then."
    ),
    Category.CALC_FAILED: (
        "The week's captures are in place, its analytics are not. Read the error and the worker's log; once the cause is "
        "mended, recompute the week from its readiness page."
    ),
    Category.STALLED: (
        "Each try ended with its worker: look for what ends it (memory, time limit, a slow disk) in the worker's log, then "
        "re-ingest the partition."
    ),
    Category.INTERNAL: (
        "A failure of the product itself: the worker's log has the traceback. Report it with the message; the payload, if "
        "one was fetched, is archived and can be read again. Once it is mended, re-ingest the partition."
    ),
}


def contents(anomaly: Anomaly) -> dict[str, Any]:
    """The context of an anomaly's page. Three queries, whatever the number of occurrences."""
    week = anomaly.concerns_week
    return {
        "title": f"{Category(anomaly.category).replace('_', ' ').capitalize()}: {anomaly.partition or week or 'no week'}",
        "severity": badge(anomaly.severity),
        "severity_told": anomaly.get_severity_display(),
        "category_told": anomaly.get_category_display(),
        "next_step": NEXT_STEPS[Category(anomaly.category)],
        "partition": link(anomaly.partition),
        "week": week_link(week),
        "run": link(anomaly.run, f"run {anomaly.run_id}"),
        "last_run": link(anomaly.last_run, f"run {anomaly.last_run_id}"),
        "verdicts": [_verdict(one) for one in Readiness.objects.filter(week_ending=week)] if week else [],
        "acts": acts_on([("anomaly", [anomaly.pk])]),
        "ended_by_itself": anomaly.resolved_by == MARKETSPINE,
    }


def _verdict(readiness: Readiness) -> tuple[str, str]:
    """The use, as a link, and its verdict."""
    return link(readiness, readiness.use), badge(readiness.state)
