"""Tables for download: CSV, sent while it is read, in which no cell starts a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from pipeline import data_kinds

STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
ROWS_AT_ONCE = 500


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def harmless(cell: object) -> str:
    """The cell as text; with an apostrophe before it where a spreadsheet would take it for a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(STARTS_A_FORMULA) else text


def as_download(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """A CSV file of this name, with its rows sent as they are read.

    Where they are invented, its name begins with `samples_`, and a last column says so in each row.
    """
    if data_kinds.shows_samples():
        name = f"samples_{name}"
    response = StreamingHttpResponse(_chunks(data_kinds.as_table(header, rows)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _chunks(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file in pieces of some hundred lines."""
    writer = csv.writer(_Line(), lineterminator="\r\n")
    lines: list[str] = []
    for row in rows:
        lines.append(writer.writerow([harmless(cell) for cell in row]))
        if len(lines) >= ROWS_AT_ONCE:
            yield "".join(lines)
            lines = []
    yield "".join(lines)
