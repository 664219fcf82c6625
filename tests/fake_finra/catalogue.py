"""What is published when: partitions by their due dates, and each partition's vintages by virtual date."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from threading import RLock
from typing import TypeVar

from pipeline.finra.calendar import PartitionKey, Tier, due_date
from tests.fake_finra.origins import Origin
from tests.fake_finra.restatements import Restatement
from tests.fake_finra.rows import FirmRows, Row, market, summary

K = TypeVar("K")
V = TypeVar("V")
KEPT = 64  # partitions in memory; the others are made again when they are asked for


class Catalogue:
    """The truth of the service: on any day, what is published and what it reads.

    `days_late` delays a partition's first publication (`None`: it never comes). `revision` moves when the plan of
    restatements does. Safe for threads.
    """

    def __init__(
        self,
        weeks: Iterable[date],
        origin: Origin,
        *,
        tiers: Collection[Tier] = tuple(Tier),
        restatements: Iterable[Restatement] = (),
        days_late: Mapping[PartitionKey, int | None] | None = None,
        kept: int = KEPT,
    ) -> None:
        self.origin = origin
        self.days_late = dict(days_late or {})
        self._published = {
            key: day
            for week in sorted(weeks)
            for tier in tiers
            if (day := self._first_publication(PartitionKey(week, tier))) is not None
            for key in [PartitionKey(week, tier)]
        }
        self._restatements: dict[PartitionKey, list[Restatement]] = {}
        self._vintages: OrderedDict[PartitionKey, list[FirmRows]] = OrderedDict()
        self._rows: OrderedDict[tuple[PartitionKey, int], tuple[Row, ...]] = OrderedDict()
        self._kept = kept
        self._lock = RLock()
        self.revision = 0
        for restatement in restatements:
            self.restate(restatement)

    def _first_publication(self, key: PartitionKey) -> date | None:
        late = self.days_late.get(key, 0)
        return None if late is None else due_date(key.tier, key.week_ending) + timedelta(days=late)

    def published_on(self, key: PartitionKey) -> date:
        """The day of first publication; KeyError for a partition that never comes."""
        return self._published[key]

    def keys(self, today: date) -> list[PartitionKey]:
        """What is published on `today`, oldest week first."""
        return [key for key, day in self._published.items() if day <= today]

    def weeks(self, today: date) -> list[date]:
        """The weeks of which all tiers are published, oldest first: their market-wide rows are, too."""
        published = Counter(key.week_ending for key in self.keys(today))
        coming = Counter(key.week_ending for key in self._published)
        return [week for week, tiers in published.items() if tiers == coming[week]]

    def restate(self, restatement: Restatement) -> None:
        """Add a restatement; ValueError where it comes before the first publication."""
        if restatement.on < self.published_on(restatement.key):
            raise ValueError(f"{restatement.key} is not published on {restatement.on}")
        with self._lock:
            self.revision += 1
            known = self._restatements.setdefault(restatement.key, [])
            known.append(restatement)
            known.sort(key=lambda each: each.on)
            self._vintages.pop(restatement.key, None)
            for cached in [cached for cached in self._rows if cached[0] == restatement.key]:
                del self._rows[cached]

    def changes(self, key: PartitionKey) -> list[date]:
        """The days on which the partition changes: its first publication, then its restatements."""
        return [self.published_on(key), *(each.on for each in self._restatements.get(key, ()))]

    def vintage(self, key: PartitionKey, today: date) -> int:
        """How many vintages there have been: 0 before publication, 1 unrevised."""
        return sum(day <= today for day in self.changes(key)) if key in self._published else 0

    def firm_rows(self, key: PartitionKey, today: date) -> FirmRows:
        """The rows by symbol and firm; none before publication."""
        vintage = self.vintage(key, today)
        return self._history(key)[vintage - 1] if vintage else ()

    def rows(self, key: PartitionKey, today: date) -> tuple[Row, ...]:
        """All rows of weeklySummary; none before publication."""
        vintage = self.vintage(key, today)
        with self._lock:
            if (key, vintage) not in self._rows:
                self._rows[key, vintage] = summary(key, self.firm_rows(key, today))
                _forget(self._rows, self._kept)
            return self._rows[key, vintage]

    def market_rows(self, week: date, today: date) -> tuple[Row, ...]:
        """The market-wide rows of a week."""
        keys = [key for key in self.keys(today) if key.week_ending == week]
        return market(week, tuple(row for key in keys for row in self.firm_rows(key, today)))

    def _history(self, key: PartitionKey) -> list[FirmRows]:
        with self._lock:
            if key not in self._vintages:
                vintages = [self.origin.first(key)]
                for restatement in self._restatements.get(key, ()):
                    vintages.append(restatement.change(vintages, restatement.on.isoformat()))
                self._vintages[key] = vintages
                _forget(self._vintages, self._kept)
            return self._vintages[key]


def _forget(cache: OrderedDict[K, V], kept: int) -> None:
    while len(cache) > kept:
        cache.popitem(last=False)
