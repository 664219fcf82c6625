"""`manage.py backup`: make a backup, verify it, drill its restoration, record one made by other means."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.finra.calendar import parse_instant
from pipeline.keeping import proof, verification
from pipeline.keeping.manifest import Manifest
from pipeline.keeping.proof import Proved
from pipeline.keeping.repository import NoBackup
from pipeline.management.base import BadArguments, SpineCommand, failed_if, operator
from pipeline.management.help import add_verb
from pipeline.management.output_paths import folder_to_fill
from pipeline.operations import Order, Refused
from pipeline.resilience.failures import sentence_of


class Command(SpineCommand):
    """One command for all that is done with backups; `restore` is another, since it needs no database."""

    help = (
        "Make backups, and prove that they can be restored. Exit code: 0 good, 1 something is missing or not proved, "
        "2 could not run."
    )
    examples = (
        ("backup create", "into MARKETSPINE_BACKUP_DIR"),
        ("backup verify --all", "read every file of the newest one"),
        ("backup drill", "restore it elsewhere, and prove it"),
        ("backup record 'the snapshots of the volume' --at '2026-11-26 03:00'", "note one made by other means"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The verb, and the folder."""
        verbs = parser.add_subparsers(dest="what", required=True, metavar="VERB", title="verbs")
        create = add_verb(verbs, "create", "the database, the files that it names and a manifest, into a folder")
        verify = add_verb(verbs, "verify", "that its files are what was written")
        drill = add_verb(verbs, "drill", "restore it elsewhere, and prove it")
        record = add_verb(verbs, "record", "note a backup made by other means")
        prove = add_verb(verbs, "prove", "compare the database and the archive of the settings with a manifest")
        for one in (create, verify, drill, record):
            _add_place(one, "the folder of the backups (default: MARKETSPINE_BACKUP_DIR)")
        _add_place(prove, "the manifest's file")
        for one in (verify, drill):
            one.add_argument("--name", default="", help="which backup, such as 20261126T031600Z (default: the newest)")
        verify.add_argument("--all", action="store_true", help="read every file, not some")
        drill.add_argument("--into", default="", metavar="URL", help="on the server of this database address")
        for one in (verify, drill, prove):
            one.add_argument("--seed", type=int, help="draw what is read as another one did")
        record.add_argument("--at", default="", metavar="INSTANT", help="what the backup holds, in UTC")
        for one in (create, drill, record):
            one.add_argument("--reason", default="", help="why, for the operator log")

    def work(self, **options: Any) -> int:
        """Do what was asked, print."""
        does: dict[str, Callable[[dict[str, Any]], int]] = {
            "create": self._create,
            "verify": self._verify,
            "drill": self._drill,
            "record": self._record,
            "prove": self._prove,
        }
        try:
            return does[options["what"]](options)
        except (Refused, NoBackup) as error:
            raise BadArguments(str(error)) from error

    def _create(self, options: dict[str, Any]) -> int:
        backup, manifest = operations.create_backup(folder_to_fill(Path(options["place"])), _order(options))
        if self.as_json:
            sizes = {"database_bytes": backup.database_bytes, "files": backup.files, "new_files": backup.new_files}
            of = {"name": backup.name, "place": backup.place, "made_at": backup.made_at, "seconds": backup.seconds}
            self.document({**of, **sizes, "missing": manifest.missing, "environment": manifest.environment})
        self.line(f"{backup.name}: {backup.files:,} files ({backup.new_files:,} new), in {backup.seconds:.1f} s.")
        for path in manifest.missing:
            self.line(f"not in it, since the archive has lost it: {path}")
        self.line(f"Not in it: the values of {', '.join(manifest.environment) or 'settings, none was given'}.")
        return failed_if(bool(manifest.missing))

    def _verify(self, options: dict[str, Any]) -> int:
        seed = secrets.randbelow(10**9) if options["seed"] is None else options["seed"]
        place, name = Path(options["place"]), options["name"]
        return self._told(verification.verify(place, name, everything=options["all"], seed=seed))

    def _drill(self, options: dict[str, Any]) -> int:
        folder = Path(options["place"]).absolute()
        drill = operations.drill_backup(folder, options["name"], options["into"], options["seed"], _order(options))
        if self.as_json:
            times = {"restored_in_seconds": drill.seconds, "would_have_lost_seconds": drill.lost_seconds}
            self.document({"name": drill.name, "passed": drill.passed, **times, **drill.report})
        for one in drill.report["checks"]:
            self.line(_line(Proved(one["what"], one["passed"])))
        self.line(
            f"{drill.name}: {'proved' if drill.passed else 'NOT PROVED'}. Restored in {drill.seconds:.1f} s; what was "
            f"captured in the {drill.lost_seconds / 3600:.1f} hours before is not in it. Seed {drill.report['seed']}."
        )
        return failed_if(not drill.passed)

    def _record(self, options: dict[str, Any]) -> int:
        if not options["at"]:
            raise BadArguments("say which instant the backup holds: --at '2026-11-26 03:00'")
        backup = operations.record_backup(options["place"], parse_instant(options["at"]), _order(options))
        if self.as_json:
            self.document({"place": backup.place, "made_at": backup.made_at})
        self.line(f"Recorded: a backup of {backup.made_at:%Y-%m-%d %H:%M} UTC, in {backup.place}.")
        return 0

    def _prove(self, options: dict[str, Any]) -> int:
        try:
            manifest = Manifest.read(Path(options["place"]).read_bytes())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadArguments(f"{options['place']} is no manifest of a backup: {sentence_of(error)}") from error
        return self._told(proof.prove(manifest, options["seed"] or 0))

    def _told(self, proofs: Iterable[Proved]) -> int:
        found = []
        for one in proofs:
            self.line(_line(one))
            found.append(one)
        if self.as_json:
            self.document({"checks": [one.stored() for one in found]})
        return failed_if(not all(one.passed for one in found))


def _add_place(parser: CommandParser, told: str) -> None:
    parser.add_argument("place", nargs="?", default=settings.MARKETSPINE_BACKUP_DIR, help=told)


def _order(options: dict[str, Any]) -> Order:
    return Order(operator=operator(), reason=options["reason"])


def _line(one: Proved) -> str:
    return f"{'proved' if one.passed else 'NOT SO':<8}  {one.what}"
