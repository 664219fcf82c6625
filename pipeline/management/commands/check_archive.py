"""`manage.py check_archive`: whether the archive has, whole, the payload and the vintage file of every capture."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.finra.calendar import parse_run_date
from pipeline.finra.plain_text import capitalized
from pipeline.integrity import losses, lost_symbols
from pipeline.management.base import BadArguments, SpineCommand, add_run_date, failed_if, operator
from pipeline.models import Act
from pipeline.operations import Order
from pipeline.vintages.holdings import Holdings, Lost
from pipeline.weeks import symbols


class Command(SpineCommand):
    """Look at every payload and vintage file, read some of them whole, and keep what was found."""

    help = (
        "See that the archive has the payload and the vintage file of every capture, and read some whole: those known to be "
        "damaged, then those that were not read for longest; and as many files of the symbols of snapshots. What is lost "
        "becomes an ERROR anomaly, what is there again ends it, and the weeks concerned are judged again. Exit code: 0 "
        "nothing is lost, 1 something is, 2 could not run."
    )
    examples = (
        ("check_archive", "that every file is there, and read 200 of them"),
        ("check_archive --all", "read all of them"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """How many to read."""
        reads = parser.add_mutually_exclusive_group()
        reads.add_argument(
            "--read",
            type=int,
            default=settings.MARKETSPINE_ARCHIVE_READS,
            metavar="N",
            help="read N files whole (default: %(default)s)",
        )
        reads.add_argument("--all", action="store_true", help="read all of them whole")
        add_run_date(parser)

    def work(self, **options: Any) -> int:
        """Look, print."""
        today = parse_run_date(options["run_date"])
        if options["read"] < 0:
            raise BadArguments(f"--read must be at least 0, not {options['read']}")
        held = losses.check(today, read=2**31 if options["all"] else options["read"])
        unaccepted = losses.unaccepted(held.lost)
        sentence = f"{_counted(held)}; {len(unaccepted):,} lost."
        operations.write_down(Act.CHECK_ARCHIVE, Order(operator=operator()), (), sentence)
        lost = [] if held.gone else lost_symbols.unaccepted(symbols.lost())
        of_symbols = [str(symbols.damaged(one, "is lost or damaged")) for one in lost]
        if self.as_json:
            self.document({**_as_document(held, unaccepted), "lost_symbols": of_symbols})
        self._print_lost(held, unaccepted)
        for told_of_symbols in of_symbols:
            self.line(told_of_symbols)
        for anomaly in losses.standing().filter(losses.BEHIND):
            self.line(anomaly.message)
        return failed_if(losses.standing().exists())

    def _print_lost(self, held: Holdings, unaccepted: list[Lost]) -> None:
        counted = _counted(held)
        self.line(f"{capitalized(counted)}.")
        if held.gone:
            self.line(f"{capitalized(held.gone)}: {_advice()}")
            return
        for one in held.lost:
            self.line(one.sentence if one in unaccepted else f"accepted: {one.sentence}")
        self.line(
            "`doctor` names what may bring them back." if unaccepted else "Nothing is lost that was not accepted."
        )


def _advice() -> str:
    """Advice for when the archive as a whole is gone."""
    if settings.MARKETSPINE_STORAGE_URL:
        return "is MARKETSPINE_STORAGE_URL right, does the bucket answer?"
    return "is it mounted, is MARKETSPINE_ARCHIVE_DIR right?"


def _counted(held: Holdings) -> str:
    """Each kind of file: how many the captures need, and how many are there."""
    sentence = (f"{count.present:,} of {count.needed:,} {kind}s are there" for kind, count in held.counts.items())
    return ", ".join(sentence) or "nothing could be looked at"


def _as_document(held: Holdings, unaccepted: list[Lost]) -> dict[str, object]:
    return {
        "files": {kind: {"needed": count.needed, "present": count.present} for kind, count in held.counts.items()},
        "gone": held.gone or "",
        "lost": [
            {
                "capture_id": one.capture.capture_id,
                "what": one.needed.kind,
                "path": one.needed.path,
                "state": one.state,
                "since": one.since.isoformat(),
                "accepted": one not in unaccepted,
            }
            for one in held.lost
        ],
    }
