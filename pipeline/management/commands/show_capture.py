"""`manage.py show_capture`: one vintage, its figures and manifests, and whether the archive still holds it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from pipeline.management.base import SpineCommand, failed_if
from pipeline.management.capture_words import HELP, LATEST, select
from pipeline.review.capture_figures import figures
from pipeline.review.verification import Checked, verify


class Command(SpineCommand):
    """Print a capture; with --verify, read its payload back from the archive and compare everything."""

    help = (
        "Print one capture: figures, hashes, manifests, rejects. --verify reads its payload back from the archive, parses "
        "it and compares hashes and stored rows. Exit code: 0 good, 1 not what it was, 2 could not run."
    )
    examples = (
        ("show_capture OTC 2026-10-16", "the newest capture of a partition"),
        ("show_capture OTC 2026-10-16 v1 --verify", "its first one, read again from the archive"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The capture."""
        parser.add_argument("capture", nargs="+", metavar="CAPTURE", help=HELP)
        parser.add_argument("--verify", action="store_true", help="read the archived payload back and compare")

    def work(self, **options: Any) -> int:
        """Find it, print it, verify it."""
        (capture,) = select(options["capture"], (LATEST,))
        found = figures(capture)
        checks = verify(capture) if options["verify"] else []
        if self.as_json:
            extra = {"verified": all(check.holds for check in checks), "checks": checks} if checks else {}
            self.document({**found, **{k: _plain(v) for k, v in extra.items()}})
        single = [(name, value) for name, value in found.items() if not isinstance(value, list)]
        self.table("Capture", ("figure", "value"), single)
        for name in ("manifests", "rejects"):
            rows: Any = found[name]
            if rows:
                self.table(name.capitalize(), tuple(rows[0]), [tuple(row.values()) for row in rows])
        for check in checks:
            self.line(f"{'verified' if check.holds else 'NOT VERIFIED'}: {check.what}")
        return failed_if(not all(check.holds for check in checks))


def _plain(value: object) -> object:
    """Checks, as a JSON document has them."""
    if isinstance(value, list):
        return [{"what": check.what, "holds": check.holds} for check in value if isinstance(check, Checked)]
    return value
