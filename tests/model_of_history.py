"""What a partition must hold after any sequence of publications and runs: lists and sets; no database, hashes or merge."""

from __future__ import annotations

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
        """What becomes of the partition in a run that fetches; a fifth of the rows may be lost."""
        if store:
            self._store_archived()
        held = self.vintages[-1].published if self.vintages else None
        if offer is None:
            return Outcome.UNCHANGED if held else Outcome.LATE
        if offer == held and not force:
            return Outcome.UNCHANGED
        if not offer.is_readable:
            return Outcome.FAILED
        if not force and not offer.rows:
            return Outcome.REFUSED
        if not force and held and held.rows == offer.rows:
            return Outcome.UNCHANGED
        if not force and held and 5 * (len(held.rows) - len(offer.rows)) > len(held.rows):
            return Outcome.REFUSED
        self.vintages.append(Vintage(offer, store))
        return Outcome.RESTATED if held else Outcome.INGESTED

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
