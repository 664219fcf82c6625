"""The events that people are told of, and one occurrence of an event, before it is written as a notice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from django.db import models

from pipeline.models.severity import Severity

if TYPE_CHECKING:
    from pipeline.models.run import Run


class Event(models.TextChoices):
    """The events. Most last until they are over; those in MOMENTARY are news, over at once."""

    READY = "READY", "a week may be used"
    BLOCKED = "BLOCKED", "a week may not be used"
    LATE = "LATE", "a partition is due, and not there"
    FAILED = "FAILED", "a partition or a week could not be worked on"
    REFUSED = "REFUSED", "a payload was refused, or is implausible"
    RESTATED = "RESTATED", "FINRA restated a partition"
    ANOMALY = "ANOMALY", "something else that a person may have to look at"
    ARCHIVE_DAMAGED = "ARCHIVE_DAMAGED", "the archive lacks a file, or the ledger a capture"
    RUN_FAILED = "RUN_FAILED", "a run failed, or died"
    SCHEDULE_MISSED = "SCHEDULE_MISSED", "a schedule's run has not started"
    WORKERS_SILENT = "WORKERS_SILENT", "no worker answers"
    BEAT_SILENT = "BEAT_SILENT", "beat sends nothing"
    WORK_WAITING = "WORK_WAITING", "a run waits, and no worker works on it"
    BACKUP_OLD = "BACKUP_OLD", "the newest backup is old"
    CHANNEL_FAILED = "CHANNEL_FAILED", "a channel does not take its notices"
    TEST = "TEST", "a person tries a channel"


MOMENTARY = frozenset({Event.READY, Event.RESTATED, Event.TEST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """An event at a place, as the code that sees it reports it.

    `place` is where: "2025-11-14 OTC", "beat". `what` is a sentence, `advice` another. Two occurrences of an event at a
    place are one notice, unless their `mark` differs.
    `rows` is how many rows a restatement touched.
    """

    event: Event
    place: str
    severity: Severity
    what: str
    advice: str = ""
    week_ending: date | None = None
    tier: str = ""
    use: str = ""
    category: str = ""
    run: Run | None = None
    rows: int | None = None
    mark: str = ""

    @property
    def key(self) -> str:
        """The identity of an occurrence: event, place and mark, without the text."""
        return key_of(self.event, self.place, self.mark)


def key_of(event: Event, place: str, mark: str = "") -> str:
    """The key of an event at a place."""
    return f"{event.value}|{place}" + (f"|{mark}" if mark else "")
