"""What is printed for a person: text from outside is shown as text, whole, whatever the terminal is and takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.plain_text import fitting, printable, shortened

LONGEST_CELL = 400  # a reject may be a line without an end
STYLES = {
    "INGESTED": "green",
    "RESTATED": "cyan",
    "FORCED": "yellow",
    "UNCHANGED": "dim",
    "NOT_OFFERED": "yellow",
    "READY": "green",
    "PROVISIONAL": "yellow",
    "BLOCKED": "red",
    "FAILED": "bold red",
    "REFUSED": "red",
    "LATE": "red",
    "MISSING": "red",
}


def console(file: IO[str]) -> Console:
    """A console that reads no markup, no `:emoji:` and no figures in what it is given."""
    return Console(file=file, markup=False, emoji=False, highlight=False)


def cell(text: str, encoding: str | None) -> str:
    """Text as a cell of a table holds it: printable, in characters that the stream has, not too long."""
    return fitting(printable(shortened(text, LONGEST_CELL)), encoding)


def draw(title: str, columns: Sequence[str], cells: Iterable[Sequence[str]], file: Any) -> None:
    """Draw a table; the words of the ledger have their colours."""
    drawn = Table(title=Text(printable(title)), title_justify="left")
    for name in columns:
        drawn.add_column(Text(name))
    for row in cells:
        drawn.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row))
    console(file).print(drawn)


def lose_no_character(*streams: Any) -> None:
    """Have streams of any encoding print all there is: a character that one has not becomes an escape, and no error."""
    for stream in streams:
        under = getattr(stream, "_out", stream)
        if isinstance(under, TextIOWrapper):
            with suppress(OSError):  # what lies below a stream may have been exchanged
                under.reconfigure(errors="backslashreplace")


def encoding_of(stream: Any) -> str | None:
    """The encoding of a stream; None where it takes all text."""
    return getattr(getattr(stream, "_out", stream), "encoding", None)
