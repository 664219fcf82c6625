"""What a source may publish, and what a partition must hold after it: lists and sets; no database, hashes or merge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.models import Outcome

Row = tuple[str, int]  # a symbol and its shares


@dataclass(frozen=True)
class Publication:
    """What a source offers: rows in the order of their lines, lines that are none, or a page instead of a file.

    `zeros` are written after the first row's decimal point: other bytes for the same row.
    """

    lines: tuple[Row, ...] = ()
    broken: int = 0
    is_page: bool = False
    zeros: int = 0

    @property
    def rows(self) -> frozenset[Row]:
        """The rows, whatever their order."""
        return frozenset(self.lines)

    @property
    def is_readable(self) -> bool:
        """At most half of the lines may be broken."""
        return not self.is_page and self.broken <= len(self.lines)


SYMBOLS = [f"S{number}" for number in range(10)]


def fresh(published: Publication, number: int) -> Publication:
    """Ten rows."""
    return Publication(tuple((symbol, 100 + number) for symbol in SYMBOLS))


def restated(published: Publication, number: int) -> Publication:
    """One row changed, one added."""
    lines = dict(published.lines)
    touched = [list(lines)[number % len(lines)], f"N{number}"] if lines else [f"N{number}"]
    return Publication(tuple((lines | dict.fromkeys(touched, 500 + number)).items()), published.broken)


def without_one(published: Publication, number: int) -> Publication:
    """One row removed."""
    at = number % max(len(published.lines), 1)
    return Publication(published.lines[:at] + published.lines[at + 1 :], published.broken)


def reordered(published: Publication, number: int) -> Publication:
    """The same rows in other bytes."""
    return Publication(published.lines[::-1], published.broken)


def respelt(published: Publication, number: int) -> Publication:
    """The same rows, the first with zeros after its point."""
    return Publication(published.lines, published.broken, zeros=number % 7)


def shrunk(published: Publication, number: int) -> Publication:
    """Half of the rows."""
    return Publication(published.lines[: len(published.lines) // 2], published.broken)


def emptied(published: Publication, number: int) -> Publication:
    """A header alone."""
    return Publication()


def spoilt(published: Publication, number: int) -> Publication:
    """Lines that are no rows, at times too many."""
    return Publication(published.lines, broken=1 + number)


def page(published: Publication, number: int) -> Publication:
    """An error page."""
    return Publication(is_page=True)


Edit = Callable[[Publication, int], Publication]
CORRECTIONS: list[Edit] = [restated, restated, restated, restated, without_one, without_one, reordered, respelt, fresh]
MISHAPS: list[Edit] = [shrunk, emptied, spoilt, page]


def touched(held: Publication, offer: Publication) -> int:
    """How many rows change, come and go."""
    before, after = dict(held.lines), dict(offer.lines)
    changed = sum(1 for symbol in before.keys() & after.keys() if before[symbol] != after[symbol])
    return changed + len(before.keys() ^ after.keys())


@dataclass
class Vintage:
    """A publication that was captured; with `stored` False only its payload is archived."""

    published: Publication
    stored: bool


@dataclass
class History:
    """The vintages of one partition, oldest first."""

    vintages: list[Vintage] = field(default_factory=list)

    def ingest(self, offer: Publication | None, *, force: bool, store: bool) -> Outcome:
        """What becomes of the partition in a run that fetches; a quarter of the rows may change, come and go."""
        if store:
            self._store_archived()
        held = self.vintages[-1].published if self.vintages else None
        if offer is None:
            return Outcome.NOT_OFFERED if held else Outcome.LATE
        if offer == held and not force:
            return Outcome.UNCHANGED
        if not offer.is_readable:
            return Outcome.FAILED
        if not force and not offer.rows:
            return Outcome.REFUSED
        if not force and held and held.rows == offer.rows:
            return Outcome.UNCHANGED
        if not force and held and held.rows and touched(held, offer) > max(len(held.rows) / 4, 1):
            return Outcome.REFUSED
        self.vintages.append(Vintage(offer, store))
        if held is None:
            return Outcome.INGESTED
        return Outcome.FORCED if held.rows == offer.rows else Outcome.RESTATED

    def normalize(self) -> Outcome:
        """What becomes of it in a run that reads the archive."""
        if not self.vintages:
            return Outcome.LATE
        return Outcome.INGESTED if self._store_archived() else Outcome.UNCHANGED

    def _store_archived(self) -> int:
        archived = [vintage for vintage in self.vintages if not vintage.stored]
        for vintage in archived:
            vintage.stored = True
        return len(archived)

    @property
    def stored(self) -> list[Publication]:
        """The vintages whose rows are stored."""
        return [vintage.published for vintage in self.vintages if vintage.stored]

    @property
    def latest(self) -> frozenset[Row]:
        """The rows of the latest view."""
        return self.stored[-1].rows if self.stored else frozenset()

    def counts(self) -> list[tuple[int, int, int, int]]:
        """Rows added, changed, removed and unchanged by each stored vintage."""
        counted, before = [], dict[str, int]()
        for published in self.stored:
            now = dict(published.lines)
            both = before.keys() & now.keys()
            changed = sum(1 for symbol in both if before[symbol] != now[symbol])
            counted.append((len(now) - len(both), changed, len(before) - len(both), len(both) - changed))
            before = now
        return counted
