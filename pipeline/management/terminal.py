"""Printing for a person: text from outside is shown as text, whole, on any terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.finra.plain_text import fitting, printable, shortened

BORDERS = 3  # of a column: a line, and a blank on each side
SENTENCE = 24  # a longer text is one, where its words are shorter
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


def draw(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], file: Any) -> None:
    """Draw a table where it fits, its sentences wrapped between words; otherwise print it row by row, a line per cell.

    What identifies or decides (a date, a symbol, an id, a state, a figure) is cut in neither. The words of the ledger have
    their colours.
    """
    out = console(file)
    out.print(Text(printable(title), style="italic"), soft_wrap=True)
    texts = list(zip(columns, *cells, strict=True))
    widths = _widths(texts, _room(columns, out))
    if widths:
        out.print(_table(columns, widths, cells))
    else:
        _print_rows(columns, cells, out)


def fits(columns: Sequence[str], cells: Sequence[Sequence[str]], file: Any) -> bool:
    """Whether `draw` would draw a table."""
    texts = list(zip(columns, *cells, strict=True))
    return bool(_widths(texts, _room(columns, console(file))))


def _room(columns: Sequence[str], out: Console) -> int:
    return out.width - BORDERS * len(columns) - 1


def _widths(texts: Sequence[Sequence[str]], room: int) -> list[int]:
    """How wide each column may be, so that no word is cut; empty where there is not room enough."""
    widths = [_least_width(column) for column in texts]
    spare = room - sum(widths)
    if spare < 0:
        return []
    for at, column in enumerate(texts):
        more = min(spare, max(map(cell_len, column)) - widths[at])
        widths[at] += more
        spare -= more
    return widths


def _least_width(texts: Sequence[str]) -> int:
    """The least width of a column: its longest text or, for a sentence, enough to read it without cutting a word."""
    longest = max(map(cell_len, texts))
    return min(longest, max(SENTENCE, *(cell_len(word) for text in texts for word in text.split() or [""])))


def _table(columns: Sequence[str], widths: Sequence[int], cells: Iterable[Sequence[str]]) -> Table:
    drawn = Table()
    for name, width in zip(columns, widths, strict=True):
        drawn.add_column(Text(name), width=width, overflow="fold")
    for row in cells:
        drawn.add_row(*map(_styled, row))
    return drawn


def _print_rows(columns: Sequence[str], cells: Iterable[Sequence[str]], out: Console) -> None:
    """Each row under its first cell, or beside it where there are two; cells that are empty are left out."""
    for first, *others in cells:
        if len(others) == 1:
            _print_line(Text.assemble(f"{first}: ", _styled(others[0])), out)
            continue
        _print_line(_styled(first or "-"), out)
        for name, text in zip(columns[1:], others, strict=True):
            if text:
                _print_line(Text.assemble(f"  {name}: ", _styled(text)), out)


def _print_line(text: Text, out: Console) -> None:
    """Wrapped between words; one that is longer than a line is left to the terminal, to be copied whole."""
    out.print(text, soft_wrap=any(cell_len(word) > out.width for word in text.plain.split()))


def _styled(text: str) -> Text:
    return Text(text, style=STYLES.get(text, ""))


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
