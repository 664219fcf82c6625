"""`manage.py restore_captures`: restore captures that the archive knows and an older database lacks."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.finra.calendar import parse_run_date
from pipeline.integrity import losses, restoring
from pipeline.integrity.restoring import Fate, Orphan
from pipeline.management.base import DRY_RUN, BadArguments, SpineCommand, add_mode, add_run_date, failed_if, operator
from pipeline.models import Act, Capture
from pipeline.operations import Order
from pipeline.vintages.archive import ArchiveDamaged


class Command(SpineCommand):
    """Take captures back into the ledger, with their ids, versions and instants of old."""

    help = (
        "Take captures back that the archive knows and the ledger lacks, because an older database was restored: in order, "
        "with their ids, versions and instants, their rows read from the archived payloads. Exit code: 0 the ledger lacks "
        "nothing (any more), 1 it does, 2 could not run."
    )
    examples = (
        ("restore_captures --mode dry-run", "which captures the ledger lacks"),
        ("restore_captures", "take them back"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """Whether to write."""
        add_mode(parser, "lists them")
        add_run_date(parser)

    def work(self, **options: Any) -> int:
        """List or restore, print."""
        today = parse_run_date(options["run_date"])
        is_dry = options["mode"] == DRY_RUN
        try:
            found = restoring.orphans() if is_dry else restoring.restore(today)
        except ArchiveDamaged as damage:
            raise BadArguments(str(damage)) from damage
        if not is_dry:
            losses.check(today)
            _write_down(found)
        if self.as_json:
            self.document({"captures": [_as_document(one) for one in found]})
        for one in found:
            self.line(f"{one.fate:<14}  {one.record.capture_id}  {one.why}")
        if not found:
            self.line("The archive knows of no capture that the ledger lacks.")
        return failed_if(any(one.fate not in (Fate.RESTORED, Fate.REPLACED) for one in found))


def _write_down(found: list[Orphan]) -> None:
    """Write to the operator log which captures were restored, and how many were not."""
    if found:
        ids = [one.record.capture_id for one in found if one.fate is Fate.RESTORED]
        left = f" {len(found) - len(ids)} were not." if len(ids) < len(found) else ""
        sentence = f"{len(ids)} captures were restored from the archive.{left}"
        taken = Capture.objects.filter(capture_id__in=ids)
        operations.write_down(Act.RESTORE, Order(operator=operator()), taken, sentence)


def _as_document(one: Orphan) -> dict[str, object]:
    return {
        "capture_id": one.record.capture_id,
        "week_ending": one.record.week_ending,
        "tier": one.record.tier,
        "version": one.record.version,
        "payload_sha256": one.record.payload_sha256,
        "fate": one.fate,
        "why": one.why,
    }
