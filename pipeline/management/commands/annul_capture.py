"""`manage.py annul_capture`: take a capture back that should not have been made."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.management.base import BadArguments, SpineCommand, operator
from pipeline.management.capture_words import HELP, LATEST, select
from pipeline.models import Capture
from pipeline.operations import Order, Refused


class Command(SpineCommand):
    """Annul a capture with a note: it stays, and the rows before it are the latest again."""

    help = (
        "Take a capture back, with a note on what was wrong with it. It stays, and says so; a capture with the rows of the "
        "one before it follows and is the latest. The same rows are refused from then on, unless forced. Exit code: 0 done, "
        "2 could not."
    )
    examples = (
        (
            "annul_capture OTC 2026-10-16 --note 'FINRA served half of the file'",
            "take back the newest capture of a partition",
        ),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """Which one, and the note."""
        parser.add_argument("capture", nargs="+", metavar="CAPTURE", help=HELP)
        parser.add_argument("--note", required=True, help="what was wrong with it; kept with the capture")
        parser.add_argument("--by", default=operator(), help="who annuls it (default: %(default)s)")

    def work(self, **options: Any) -> int:
        """Annul it, say what its week is now."""
        [capture] = select(options["capture"], (LATEST,))
        try:
            entry = operations.annul(capture, Order(operator=options["by"].strip(), reason=options["note"]))
        except Refused as refusal:
            raise BadArguments(str(refusal)) from refusal
        self.line(entry.sentence)
        if self.as_json:
            by = Capture.objects.get(annuls=capture)
            self.document({"capture_id": capture.capture_id, "annulled_by": by.capture_id, "told": entry.sentence})
        return 0
