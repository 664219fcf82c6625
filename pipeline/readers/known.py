"""Whether a symbol or a venue is known: one never seen in any week is an error, and no empty answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl
from django.db.models import F

from pipeline.models import Capture
from pipeline.readers.errors import ErrorKind, Facts, ReadersError
from pipeline.readers.questions import Question
from pipeline.readers.reading import reading
from pipeline.readers.wording import did_you_mean
from pipeline.vintages import read

WITHOUT_SEPARATORS = str.maketrans("", "", ".-/ ")
NEAR = 5


Named = Sequence[tuple[str, str]]  # columns, each with the value that a question names


def named_in(question: Question) -> Named:
    """The symbols and venues of a question."""
    return [*(("symbol", symbol) for symbol in question.symbols), *venues_of(question)]


def lacking(named: Named, found: pl.DataFrame) -> Named:
    """The symbols and venues that the found rows lack."""
    return [(column, value) for column, value in named if not _has(found, column, value)]


def check_known(named: Named) -> None:
    """ReadersError for the first symbol or venue that no captured week has."""
    for column, value in named:
        if not _is_anywhere(column, value):
            raise _unknown_symbol(value) if column == "symbol" else _unknown_venue(column, value)


def require_known(question: Question, found: pl.DataFrame) -> None:
    """ReadersError for a symbol or a venue of the question that neither `found` nor any captured week has.

    `found` has the columns symbol, mpid, crd, venue_name of the rows that were found.
    """
    check_known(lacking(named_in(question), found))


def require_known_venue(question: Question, found: pl.DataFrame) -> None:
    """ReadersError for a venue of the question that neither `found` nor any captured week has."""
    check_known(lacking(list(venues_of(question)), found))


def venues_of(question: Question) -> Iterable[tuple[str, str]]:
    """The column and the value of each venue that a question names."""
    venue = question.venue
    yield from (("mpid", mpid) for mpid in venue.mpids)
    if venue.crd is not None:
        yield "crd", venue.crd
    if venue.name is not None:
        yield "venue_name", venue.name


def _has(found: pl.DataFrame, column: str, value: str) -> bool:
    return found.height > 0 and bool((found[column] == value).any())


def _is_anywhere(column: str, value: str) -> bool:
    """Whether a row of any partition's newest vintage has it: the newest files are read first, until one has."""
    captures = newest_first()
    with reading(captures):
        return (
            not read.of_captures(captures).filter(pl.col(column) == value).select(column).head(1).collect().is_empty()
        )


def newest_first(most: int | None = None) -> list[Capture]:
    """The newest vintage of each partition whose rows are kept, newest week first; at most `most`, or all."""
    latest = Capture.objects.filter(pk=F("partition__latest"), pruned_at__isnull=True).select_related("partition")
    return list(latest.order_by("-partition__week_ending", "partition__tier")[:most])


def _unknown_venue(column: str, value: str) -> ReadersError:
    meant = did_you_mean(value, _of_newest_weeks(column))
    hint = f"; did you mean {meant}?" if meant else ""
    detail = f"no captured week has a venue {value!r}{hint}"
    return ReadersError(ErrorKind.UNKNOWN_VENUE, detail, column, Facts(did_you_mean=meant))


def _of_newest_weeks(column: str) -> list[str]:
    """The different texts of a column in the newest weeks."""
    captures = newest_first(NEAR * 3)
    with reading(captures):
        found = read.of_captures(captures).select(pl.col(column).unique()).collect().to_series()
    return sorted(found.drop_nulls().to_list())


def _unknown_symbol(symbol: str) -> ReadersError:
    near = spellings(symbol)
    meant = f"; did you mean {near[0]}?" if near else ""
    facts = Facts(did_you_mean=near[0] if near else None, allowed=tuple(near))
    return ReadersError(ErrorKind.UNKNOWN_SYMBOL, f"no captured week has a symbol {symbol!r}{meant}", "symbol", facts)


def plain_spelling(symbol: pl.Expr) -> pl.Expr:
    """A symbol without case and separators: BRK-B, BRK/B, brk b and BRK.B are one."""
    return symbol.str.replace_all(r"[.\-/ ]", "").str.to_uppercase()


def plain(symbol: str) -> str:
    """One symbol without case and separators."""
    return symbol.translate(WITHOUT_SEPARATORS).upper()


def spellings(symbol: str) -> list[str]:
    """The symbols of the newest weeks that differ from this one in case and separators only."""
    bare = plain(symbol)
    return [symbol for symbol in _of_newest_weeks("symbol") if plain(symbol) == bare][:NEAR]
