"""The kinds of anomalies, and the events that people are told of for each."""

from __future__ import annotations

from django.db import models

from pipeline.models.event import Event


class Category(models.TextChoices):
    """The kinds of anomalies."""

    LATE = "LATE", "due, and the source does not have it"
    FETCH_FAILED = "FETCH_FAILED", "the source could not deliver"
    UNREADABLE = "UNREADABLE", "the payload could not be read as FINRA's format"
    REJECTED_ROWS = "REJECTED_ROWS", "some rows were not stored"
    REFUSED = "REFUSED", "the payload cannot be what FINRA published for the week"
    IMPLAUSIBLE = "IMPLAUSIBLE", "captured, and far from the weeks around it"
    NOT_OFFERED = "NOT_OFFERED", "the source has nothing any more of what is held"
    ODD_ROWS = "ODD_ROWS", "some rows are odd, and are kept"
    UNKNOWN_FIELDS = "UNKNOWN_FIELDS", "the source's rows have fields that nothing here reads"
    UNRECONCILED = "UNRECONCILED", "the rows do not add up to the source's own totals"
    RESTATED_LATE = "RESTATED_LATE", "restated long after publication"
    RESTATED_SILENTLY = "RESTATED_SILENTLY", "restated, and lastUpdateDate did not move"
    ARCHIVE_DAMAGED = "ARCHIVE_DAMAGED", "an archived file is missing or not what it was"
    LEDGER_BEHIND = "LEDGER_BEHIND", "the archive has captures that the ledger lacks"
    CALC_FAILED = "CALC_FAILED", "the week's analytics could not be computed"
    STALLED = "STALLED", "its workers died or hung, at each attempt"
    INTERNAL = "INTERNAL", "our own failure"


# The event that people are told of; Event.ANOMALY for a category that is not listed.
EVENTS = {
    Category.LATE: Event.LATE,
    Category.FETCH_FAILED: Event.FAILED,
    Category.UNREADABLE: Event.FAILED,
    Category.CALC_FAILED: Event.FAILED,
    Category.STALLED: Event.FAILED,
    Category.INTERNAL: Event.FAILED,
    Category.REFUSED: Event.REFUSED,
    Category.IMPLAUSIBLE: Event.REFUSED,
    Category.ARCHIVE_DAMAGED: Event.ARCHIVE_DAMAGED,
    Category.LEDGER_BEHIND: Event.ARCHIVE_DAMAGED,
}
