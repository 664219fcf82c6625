"""The source `api`: FINRA's API as partitions and payloads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TypeVar

from pipeline.finra.calendar import PartitionKey, market_today
from pipeline.finra.payloads import Payload, PayloadFormat
from pipeline.finra.sources.api.access import NAME, Access
from pipeline.finra.sources.api.all_rows import AllRows
from pipeline.finra.sources.api.decoding import NotRows, decode
from pipeline.finra.sources.api.discovery import listed_history, published
from pipeline.finra.sources.api.fields import SummaryType
from pipeline.finra.sources.api.pager import Limits, Pager, Read, Torn, torn_for_good
from pipeline.finra.sources.api.queries import (
    CODES,
    HISTORIC,
    SUMMARY,
    Query,
    Question,
    counted,
    data_path,
    of_history,
    of_type,
)
from pipeline.finra.sources.api.replies import read_list
from pipeline.finra.sources.api.transport import NO_CONTENT, Denied, Rejected, Transport
from pipeline.finra.sources.base import MOST_ROWS, CannotBeAsked, NotPublished, SourceError, Standing

logger = logging.getLogger(__name__)

Found = TypeVar("Found")
YEAR = timedelta(days=365)  # after which weeklySummaryHistoric has a week (finra.md, "API")

READINGS = 3  # a partition is begun again so often when its rows change meanwhile
UNEQUAL_READINGS = 2  # the second reading decides: what does not add up in either is so at FINRA


@dataclass(frozen=True, slots=True)
class _DatasetPages:
    """A dataset's pages of a partition."""

    dataset: str
    read: Read


class FinraApi:
    """FINRA's API. `max_bytes` and `max_rows` cap a partition's pages together."""

    name = NAME
    is_near = False

    def __init__(self, access: Access, max_bytes: int, max_rows: int = MOST_ROWS) -> None:
        self._access = access
        self._max_bytes = max_bytes
        self._max_rows = max_rows
        self._transport = Transport(access)
        self._history: set[PartitionKey] | None = None  # its list, once it was read

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """The keys that are published: a request or two for all of them, as a rule."""
        return published(self._transport, keys)

    def fetch(self, key: PartitionKey) -> Payload:
        """All pages of a partition: its firm rows, ATS and non-ATS, and the totals by symbol.

        NotPublished where FINRA has nothing (204 and `[]` say so) or only one of the two families; TransientSourceError
        where another try may help, also when the rows changed at each reading; SourceError for a reply that is not rows of
        this partition.
        """
        reading = self._read(key)
        return Payload(
            pieces=reading.read.packed.pieces,
            format=PayloadFormat.PAGES,
            uri=f"api:otcMarket/{reading.dataset}/{key.week_ending}/{key.tier}",
            fetched_at=datetime.now(UTC),
            decoded=reading.read.rows,
            hashed=reading.read.packed.sha256,
            compressed=reading.read.packed.compressed,
        )

    def standing(self, key: PartitionKey, since: date, *, totals_too: bool) -> Standing:
        """Three requests for a number each: rows updated after a day, rows updated on it, all rows.

        NotPublished where FINRA has nothing of it any more, CannotBeAsked where only its history has it.
        """
        cuts = [cut for cut in SummaryType if totals_too or cut.has_firms]
        for code in CODES[key.tier]:
            rows = self._count(counted(key, code, cuts))
            if rows:
                newer = self._count(counted(key, code, cuts, updated=("GREATER", since)))
                same = self._count(counted(key, code, cuts, updated=("EQUAL", since)))
                return Standing(newer, same, rows)
        if any(self._has_history(key, code) for code in CODES[key.tier]):
            raise CannotBeAsked(
                f"only {HISTORIC} has {key} by now, and its filters know no lastUpdateDate: whether it moved cannot be "
                "asked; force it to download it again"
            )
        raise NotPublished(f"FINRA's API has nothing for {key} any more")

    def _has_history(self, key: PartitionKey, code: str) -> bool:
        """Whether the history has rows of a partition: asked for one of them."""
        if not self._may_be_history(key):
            return False
        query = of_history(key, code)
        reply = self._of_history(partial(self._transport.post, data_path(HISTORIC), query.page(0, 1)))
        return reply is not None and reply.status != NO_CONTENT and bool(decode(reply.body))

    def _may_be_history(self, key: PartitionKey) -> bool:
        """Whether the history is to be asked about a partition: it begins a year before today, or its list names it."""
        if key.week_ending < market_today() - YEAR:
            return True
        if self._history is None:
            self._history = listed_history(self._transport)
        return key in self._history

    def _count(self, question: Question) -> int:
        query = Query("a count", SUMMARY, question, {})
        reply = self._transport.post(data_path(SUMMARY), question)
        try:
            page, _ = read_list(query, 0, 1, reply)
        except NotRows as error:
            raise SourceError(f"FINRA's count of rows cannot be used: {error}") from error
        return page.total

    def _read(self, key: PartitionKey) -> _DatasetPages:
        """A reading that nothing tore; where the totals do not agree, it is read once more, for both may be of two days."""
        torn: list[str] = []
        for attempt in range(1, READINGS + 1):
            try:
                reading = self._reading(key)
            except Torn as error:
                torn.append(str(error))
                logger.info("%s is read again: %s", key, error)
                continue
            whole = attempt - len(torn)
            if whole >= UNEQUAL_READINGS or not reading.read.rows.controls.differing:
                return reading
        raise torn_for_good(torn)

    def _reading(self, key: PartitionKey) -> _DatasetPages:
        for code in CODES[key.tier]:
            reading = self._from(SUMMARY, [of_type(key, code, summary_type) for summary_type in SummaryType])
            if reading is None and self._may_be_history(key):
                reading = self._of_history(partial(self._from, HISTORIC, [of_history(key, code)]))
            if reading is not None:
                _require_both(key, reading.read.rows)
                return reading
        raise NotPublished(f"FINRA's API has nothing for {key}: not published, or not any more")

    def _of_history(self, ask: Callable[[], Found]) -> Found | None:
        """The answer of the history; None where it is closed to this client (403), or does not reach back so far (400)."""
        try:
            return ask()
        except (Denied, Rejected) as error:
            logger.info("FINRA's history has nothing: %s", error)
            return None

    def _from(self, dataset: str, queries: list[Query]) -> _DatasetPages | None:
        """A dataset's pages of a partition; None for none."""
        limits = Limits(self._max_bytes, self._max_rows)
        read = Pager(self._transport, self._access.connections, limits, queries).read()
        return _DatasetPages(dataset, read) if read else None


def _require_both(key: PartitionKey, rows: AllRows) -> None:
    """One family without the other is half a publication: taken for the whole, the week would look complete."""
    for cut, family in ((SummaryType.ATS_FIRMS, "ATS"), (SummaryType.NON_ATS_FIRMS, "non-ATS")):
        if cut not in rows.cuts:
            raise NotPublished(f"FINRA's API has no {family} rows for {key} yet: nothing is taken until both are there")
