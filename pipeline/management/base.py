"""The base of all commands: exit codes, one JSON document or text, tables and progress that fit the terminal."""

from __future__ import annotations

import getpass
import json
import logging
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper, SystemCheckError
from django.db import Error as DatabaseFailure
from django.db import connection

from marketspine import logs, schema
from pipeline.finra.calendar import CalendarError
from pipeline.finra.plain_text import as_typed, is_utf8, printable, storable
from pipeline.finra.sources.base import SourceError
from pipeline.management import terminal
from pipeline.management.help import JSON_HELP, VERBOSE, Example, HelpFormatter, below, show_own_options
from pipeline.models import data_kinds
from pipeline.resilience import stopping
from pipeline.resilience.failures import database_sentence, explained
from pipeline.runs.summary import COULD_NOT_RUN, FAILURES

logger = logging.getLogger(__name__)

LONGEST_NAME = 150
DRY_RUN = "dry-run"
SAMPLES = "SAMPLES: all of this is invented data, none of it is FINRA's."


class BadArguments(Exception):
    """The arguments cannot be; nothing was written."""


class SpineCommand(BaseCommand, ABC):
    """A thin shell: parse, call one function, report. `work` returns the exit code.

    0: all is good; 1: finished, and something is not; 2: could not run (bad arguments, no database).
    """

    requires_migrations_checks = False
    examples: Sequence[Example]
    more_help = ""
    as_json = False
    needs_database = True
    _shows_samples = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """As the base has it, with examples beneath."""
        epilog = below(self.examples, self.more_help)
        return super().create_parser(prog_name, subcommand, epilog=epilog, formatter_class=HelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """`--json`, for all."""
        parser.add_argument("--json", action="store_true", help=JSON_HELP)
        show_own_options(parser)
        self.add_own_arguments(parser)

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The arguments of this command."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """As the base has it, which looks at the settings first: what is said of them is a document, too."""
        self.as_json = options["json"]
        terminal.lose_no_character(self.stdout, self.stderr)
        return super().execute(*args, **options)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run `work`, and turn what cannot be into exit code 2 with a message."""
        if options["verbosity"] > 1:
            logging.getLogger("pipeline").setLevel(logging.INFO if options["verbosity"] == VERBOSE else logging.DEBUG)
        _stop_when_told()
        try:
            _require_text(options)
            if self.needs_database:
                _require_database()
                self.mark()
            code = self.work(**options)
            self.stdout.flush()
        except (BadArguments, CalendarError, SourceError) as error:
            self.refuse(str(error))
        except DatabaseFailure as error:
            self.refuse(database_sentence(error))
        except KeyboardInterrupt:
            self.refuse("stopped; what was finished is kept, the same command goes on", FAILURES)
        except BrokenPipeError:
            _drop_stdout()  # the reader of a listing, `head` say, has had enough
            return
        except OSError as error:
            self.refuse(explained(error) or str(error))
        if code:
            sys.exit(code)

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Django's system checks: settings that cannot work end a command like bad arguments do."""
        try:
            with self._warnings_in_log():
                super().check(*args, **kwargs)
        except SystemCheckError as error:
            error.returncode = COULD_NOT_RUN
            if self.as_json:
                self.document({"error": f"{error}".strip(), "exit_code": COULD_NOT_RUN})
            raise

    @contextmanager
    def _warnings_in_log(self) -> Iterator[None]:
        """Where machines read the log, warnings about the settings are lines of it."""
        stderr, said = self.stderr, StringIO()
        if settings.MARKETSPINE_LOG_FORMAT == logs.JSON:
            self.stderr = OutputWrapper(said)
        try:
            yield
        finally:
            self.stderr = stderr
            if said.getvalue():
                logger.warning(said.getvalue().strip(), extra={"event": "settings_warned"})

    @abstractmethod
    def work(self, **options: Any) -> int:
        """Do the command's work; return its exit code."""

    def refuse(self, message: str, code: int = COULD_NOT_RUN) -> None:
        """End the command with a message, and its code."""
        if self.as_json:
            self.document({"error": message, "exit_code": code})
        raise CommandError(printable(message, keep="\n"), returncode=code) from None

    def mark(self) -> None:
        """Say once that what follows is invented, where it is."""
        if not self._shows_samples and data_kinds.shows_samples():
            self._shows_samples = True
            self.line(SAMPLES)

    def document(self, content: dict[str, object]) -> None:
        """Print the one JSON document; `samples` is true in it where what it shows is invented."""
        if self._shows_samples:
            content = {"samples": True, **content}
        self._print(json.dumps(content, indent=2, default=_as_text))

    def line(self, text: str = "") -> None:
        """Print a line of text, but beside a JSON document."""
        if not self.as_json:
            self._print(printable(text))

    def warn(self, text: str) -> None:
        """Print a line to stderr, whatever stdout is for."""
        with suppress(BrokenPipeError):
            self.stderr.write(printable(text))

    def _print(self, text: str) -> None:
        """Write at once, so that a log follows a long run; a reader that has gone, `head` say, ends no run."""
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except BrokenPipeError:
            _drop_stdout()

    @property
    def on_terminal(self) -> bool:
        """Whether a person watches."""
        return not self.as_json and bool(self.stdout.isatty())

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table: drawn on a terminal, aligned plain lines elsewhere."""
        if self.as_json:
            return
        cells = self._cells(rows)
        if self.on_terminal:
            terminal.draw(title, columns, cells, self.stdout)
            return
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        self.line(f"{title}:")
        for row in [list(columns), *cells]:
            self._print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def fits(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bool:
        """Whether a table is printed as a table: elsewhere than on a terminal lines may be long."""
        return not self.on_terminal or terminal.fits(columns, self._cells(rows), self.stdout)

    def _cells(self, rows: Iterable[Sequence[object]]) -> list[list[str]]:
        encoding = terminal.encoding_of(self.stdout)
        return [[terminal.cell(_as_text(cell), encoding) for cell in row] for row in rows]


def operator() -> str:
    """The name of the user who runs the command, for the ledger."""
    try:
        return storable(getpass.getuser(), LONGEST_NAME)
    except (KeyError, OSError):
        return "unknown"


def add_mode(parser: CommandParser, dry_run: str) -> None:
    """`--mode dry-run`, spelt alike in every command that has it; `dry_run` is what the command then does."""
    parser.add_argument(
        "--mode", choices=("run", DRY_RUN), default="run", help=f"{DRY_RUN} {dry_run}, and writes nothing"
    )


def add_run_date(parser: CommandParser) -> None:
    """`--run-date`, spelt alike in every command that has it."""
    told = "the day to take for today, YYYY-MM-DD: an earlier one (default: today in New York)"
    parser.add_argument("--run-date", metavar="DAY", help=told)


def failed_if(bad: bool) -> int:
    """Exit code 1 when something is not good."""
    return FAILURES if bad else 0


def _as_text(value: object) -> str:
    """Decimals exactly, without an exponent; dates in ISO format."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


def _require_text(options: dict[str, Any]) -> None:
    """BadArguments for an argument that no ledger can keep: bytes that are no UTF-8, or a NUL. A path may be any bytes."""
    for name, value in options.items():
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and ("\0" in text or not is_utf8(text)):
                raise BadArguments(f"--{name.replace('_', '-')}: '{printable(as_typed(text))}' is not UTF-8 text")


def _require_database() -> None:
    """BadArguments where the database has not been migrated; DatabaseError where there is none."""
    if schema.pending():
        raise BadArguments(
            f"the database is not migrated: run `{data_kinds.manage_py()} migrate` first{_or_the_demo()}"
        )


def _or_the_demo() -> str:
    """A hint for a person who has looked at the demo and has no ledger of their own yet."""
    own = connection.settings_dict["NAME"] == f"{settings.VAR_DIR / 'marketspine.sqlite3'}"
    has_demo = own and (settings.DEMO_DIR / "marketspine.sqlite3").exists()
    return ", or see the demo with MARKETSPINE_DEMO=1" if has_demo else ""


def _drop_stdout() -> None:
    """Have the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop_when_told() -> None:
    """SIGTERM ends a command as Ctrl-C does: what was finished is kept, the run is marked interrupted."""
    stopping.withdraw()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as for what a shell starts in the background
            signal.signal(signal.SIGINT, _stop)


def _stop(_number: int, _frame: object) -> None:
    stopping.order()
    raise KeyboardInterrupt
