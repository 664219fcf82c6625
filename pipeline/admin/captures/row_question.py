"""A person's search for rows, as a question to the readers: exact matches first, otherwise parts of names.

A symbol is searched in all weeks: files are sorted by symbol, and those without it cost almost nothing. Any other word
is searched in every row: WEEKS_OF_A_WORD weeks at a time; without a word, one week at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from pipeline import readers
from pipeline.models import Capture
from pipeline.readers import Result
from pipeline.readers.once import one_page
from pipeline.readers.row_search import narrowed

WEEKS_OF_A_WORD, NAMES_TOLD = 6, 10
Keywords = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowQuestion:
    """The fields of a search; an unused one is empty. `capture` asks for one vintage, `before` for older weeks."""

    symbol: str = ""
    issue: str = ""
    venue: str = ""
    week: date | None = None
    tier: str = ""
    as_of: datetime | None = None
    capture: Capture | None = None
    sort: str = ""
    before: date | None = None

    @property
    def weeks(self) -> int:
        """How many weeks are searched at a time, unless a symbol is given."""
        return WEEKS_OF_A_WORD if self.symbol or self.issue or self.venue else 1

    def keywords(self) -> Keywords:
        """The readers' keywords, but for those that choose weeks."""
        named = self.capture.capture_id if self.capture else None
        asked = {"tier": self.tier, "as_of": self.as_of, "capture": named, "sort": self.sort}
        asked["issue_contains"] = self.issue
        return {name: value for name, value in asked.items() if value}


@dataclass(frozen=True, slots=True)
class Inexact:
    """A word without an exact match: the column that has it in part, and the sentence about that."""

    column: str
    said: str

    def note(self, values: Iterable[str], number: int) -> str:
        """The sentence, with the names on a page, of so many in all."""
        names = list(dict.fromkeys(values))[:NAMES_TOLD]
        more = f" and {number - len(names):,} more" if number > len(names) else ""
        return f"{self.said}: these are of {', '.join(names)}{more}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The matching rows; the oldest week searched, if there are older ones; the words without an exact match."""

    result: Result
    asked: Keywords
    older: date | None = None
    inexact: tuple[Inexact, ...] = field(default=())


@one_page()
def answer(question: RowQuestion) -> Answer | None:
    """The matching rows; None where nothing is captured there yet. ReadersError."""
    searched, older = _newest_weeks(question)
    if not searched:
        return None
    within = {} if question.capture else {"week_ending": searched}
    exact = _of_symbol(question, {} if question.capture else {"weeks": "all"})
    if exact is not None:
        return _of_venue(question, exact)
    begins = [Inexact("symbol", f"there is no symbol {question.symbol}")] if question.symbol else []
    prefix = {"symbol_prefix": question.symbol.upper()} if question.symbol else {}
    asked = {**within, **prefix, **question.keywords()}
    return _of_venue(question, Answer(readers.row_search(**asked), asked, older, tuple(begins)))


def _of_symbol(question: RowQuestion, every_week: Keywords) -> Answer | None:
    """The rows of a symbol as it was written, or in capitals, of any issue; None where there are none."""
    weeks = {"week_ending": question.week} if question.week else every_week
    asked = {**weeks, **question.keywords()}
    of_any = {name: value for name, value in asked.items() if name != "issue_contains"}
    spellings = list(dict.fromkeys((question.symbol, question.symbol.upper()))) if question.symbol else []
    if not spellings:
        return None
    either = readers.row_search(**of_any, symbol=spellings)
    for symbol in spellings:
        found = _among(either, {**of_any, "symbol": symbol})
        if found.result.summary.rows:
            return _among(found.result, {**asked, "symbol": symbol})
    return None


def _of_venue(question: RowQuestion, found: Answer) -> Answer:
    """The found rows of a venue: by its MPID or CRD number; failing these, by a part of its name."""
    if not question.venue:
        return found
    for exact in _exact_venues(question.venue):
        narrower = _among(found.result, {**found.asked, **exact})
        if narrower.result.summary.rows:
            return replace(narrower, older=found.older, inexact=found.inexact)
    named = Inexact("venue_name", f"no MPID or CRD number is {question.venue}")
    narrower = _among(found.result, {**found.asked, "venue_contains": question.venue})
    return replace(narrower, older=found.older, inexact=(*found.inexact, named))


def _exact_venues(word: str) -> Iterator[Keywords]:
    yield from ({"mpid": [mpid]} for mpid in dict.fromkeys((word, word.upper())))
    yield {"crd": word}


def _among(wider: Result, asked: Keywords) -> Answer:
    """Those of the rows of an answer that fit all words: files of which a symbol's rows were read are not read again."""
    return Answer(narrowed(wider, **asked), asked)


def _newest_weeks(question: RowQuestion) -> tuple[list[date], date | None]:
    """The newest captured weeks, which are searched; and the oldest of them, if there are older ones."""
    known = Capture.objects.normalized()
    if question.capture:
        return [question.capture.partition.week_ending], None
    if question.as_of:
        known = known.filter(normalized_at__lte=question.as_of)
    if question.tier:
        known = known.filter(partition__tier=question.tier)
    if question.before:
        known = known.filter(partition__week_ending__lt=question.before)
    if question.week:
        known = known.filter(partition__week_ending=question.week)
    weeks = known.order_by("-partition__week_ending").values_list("partition__week_ending", flat=True).distinct()
    found = list(weeks[: question.weeks + 1])
    older = found[question.weeks - 1] if len(found) > question.weeks else None
    return found[: question.weeks], older
