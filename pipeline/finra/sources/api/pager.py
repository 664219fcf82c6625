"""All rows of a query, page by page.

A page holds as many rows as were asked for or 3 MB, whichever comes first: what a page lacks is asked for again. Paging is
not a snapshot: where the total moves, a page is empty before the end or a row comes twice, the reading is torn.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from itertools import chain
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from pipeline.finra.sources.api.all_rows import AllRows, QueryRows, own_categories
from pipeline.finra.sources.api.decoding import NotRows, Rows
from pipeline.finra.sources.api.pages import Packed, Packing, Page
from pipeline.finra.sources.api.queries import MOST_ROWS, Query, data_path
from pipeline.finra.sources.api.replies import check_place, read_page
from pipeline.finra.sources.api.transport import Rejected, Reply, Transport
from pipeline.finra.sources.base import TransientSourceError, UnsafeSource, UnusableReply, too_many_rows

logger = logging.getLogger(__name__)

P = ParamSpec("P")
U = TypeVar("U")


class Torn(Exception):
    """The rows changed while they were read; the message says how it showed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most bytes and rows that all pages of a partition may have together."""

    max_bytes: int
    max_rows: int


@dataclass(frozen=True, slots=True)
class _Missing:
    """The rows of a query from `start` up to `end`, of `total`, that no page has brought yet."""

    query: Query
    total: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Read:
    """The payload that all pages of some queries make, and their rows."""

    packed: Packed
    rows: AllRows


class Pager:
    """Reads queries over one transport, several pages at once.

    UnsafeSource as soon as all that was read is more than `limits` allow.
    """

    def __init__(self, transport: Transport, connections: int, limits: Limits, queries: Sequence[Query]) -> None:
        self._transport = transport
        self._connections = connections
        self._asking = ThreadPoolExecutor(connections, thread_name_prefix="finra-page")
        self._reading = ThreadPoolExecutor(connections, thread_name_prefix="finra-rows")
        self._limits = limits
        self._queries = queries
        self._packing = Packing([query.name for query in queries])
        self._places = {query.name: place for place, query in enumerate(queries)}
        self._rows: dict[str, dict[int, Rows]] = {query.name: {} for query in queries}
        self._received = Counter[str]()
        self._texts = own_categories()
        self._whole: dict[int, QueryRows] = {}
        self._number = 0
        self._bytes = 0
        self._problems: list[str] = []
        self._taken: Query | None = None
        self._lock = Lock()

    def read(self) -> Read | None:
        """All pages, in the order of their queries; None where nothing is published.

        Torn, UnusableReply, UnsafeSource for more than is allowed, or what the transport raises.
        """
        try:
            self._ask_all()
        except NotRows as error:
            raise self._unusable(str(error)) from error
        if self._problems:
            raise self._unusable(self._problems[0])
        if not self._whole:
            return None
        rows = AllRows.of([self._whole[place] for place in sorted(self._whole)])
        return Read(self._packing.finish(), rows)

    def _ask_all(self) -> None:
        """Ask for the first page of each query, and for each other page once one has told of it.

        The page that stands first in the payload is asked for first: few have to wait for their turn to be packed. One more
        than there are connections is given to the threads that ask, so that none waits for this one. Others read what has
        come: no connection waits for that.
        """
        first, further = _in_context(self._first), _in_context(self._further)
        known = [(self._turn(query, 0), partial(first, query)) for query in self._queries]
        pages: list[Future[Future[list[_Missing]]]] = []
        asked: set[Future[Future[list[_Missing]]]] = set()
        read: set[Future[list[_Missing]]] = set()
        with self._reading, self._asking:
            while known or asked or read:
                while known and len(asked) <= self._connections and len(read) <= self._connections:
                    pages.append(self._asking.submit(heappop(known)[1]))
                    asked.add(pages[-1])
                awaited: set[Future[Any]] = {*asked, *read}
                done, _ = wait(awaited, return_when=FIRST_COMPLETED)
                if any(page.exception() for page in done):
                    self._asking.shutdown(cancel_futures=True)
                    break
                for gap in chain.from_iterable(page.result() for page in read & done):
                    heappush(known, (self._turn(gap.query, gap.start), partial(further, gap)))
                read = (read - done) | {page.result() for page in asked & done}
                asked -= done
        for page in pages:  # where several failed, the first of them says why
            if not page.cancelled():
                page.result().result()

    def _turn(self, query: Query, offset: int) -> tuple[int, int]:
        """Where a page stands in the payload."""
        return self._places[query.name], offset

    def _first(self, query: Query) -> Future[list[_Missing]]:
        """Ask for the first page, of the query as FINRA takes it: simpler where it refuses a sort or a field (400)."""
        asked = query.as_simple_as(self._taken)
        while True:
            try:
                reply = self._reply_to(asked, 0, MOST_ROWS)
            except Rejected as error:
                simpler = asked.simpler()
                if simpler is None:
                    raise
                logger.info("%s is asked for more simply: %s", query.name, error)
                asked = simpler
            else:
                self._taken = asked
                return self._reading.submit(_in_context(self._read_first), asked, reply)

    def _further(self, gap: _Missing) -> Future[list[_Missing]]:
        """Ask for missing rows, as many as fit into a page."""
        reply = self._reply_to(gap.query, gap.start, gap.end - gap.start)
        return self._reading.submit(_in_context(self._read_further), gap, reply)

    def _reply_to(self, query: Query, offset: int, limit: int) -> Reply:
        reply = self._transport.post(data_path(query.dataset), query.page(offset, limit))
        self._weigh(reply)
        return reply

    def _read_first(self, query: Query, reply: Reply) -> list[_Missing]:
        page = self._page(query, MOST_ROWS, None, 0, reply)
        return _after(query, page) if page else []

    def _read_further(self, gap: _Missing, reply: Reply) -> list[_Missing]:
        page = self._page(gap.query, gap.end - gap.start, gap.total, gap.start, reply)
        if page is None:
            raise Torn(f"nothing is there any more from row {gap.start:,} of {gap.total:,} on")
        return [replace(gap, start=page.end)] if page.end < gap.end else []

    def _page(self, query: Query, limit: int, total: int | None, offset: int, reply: Reply) -> Page | None:
        """Some rows of a query; None where the service has nothing."""
        try:
            page, rows = read_page(query, offset, limit, reply)
            check_place(rows.frame, query.expected)
        except NotRows as error:
            self._packing.add(Page(query.name, offset, 0, 0, reply.request_id, reply.body))
            raise NotRows(_problem(query, offset, reply, error)) from error
        if not rows:
            self._packing.add(page)
            return None
        if total is not None and page.total != total:
            raise Torn(f"{query.name} had {total:,} rows, and {page.total:,} at row {offset:,}")
        if page.rows > limit or page.end > page.total:
            raise Torn(f"{query.name} gave {page.rows:,} rows from {offset:,} on, of {page.total:,}")
        self._take(query, page, rows, reply)
        logger.info("%s: rows %s to %s of %s, %s", query.name, page.offset, page.end, page.total, page.request_id)
        return page

    def _unusable(self, message: str) -> UnusableReply:
        """The error that brings along all that came."""
        return UnusableReply(message, self._packing.finish().content)

    def _weigh(self, reply: Reply) -> None:
        with self._lock:
            self._bytes += len(reply.body)
            size = self._bytes
        if size > self._limits.max_bytes:
            raise UnsafeSource(
                f"the pages have {size:,} bytes together, more than the {self._limits.max_bytes:,} allowed: if that is "
                "right, raise MARKETSPINE_MAX_FILE_BYTES"
            )

    def _take(self, query: Query, page: Page, rows: Rows, reply: Reply) -> None:
        """Keep a page. Where its rows lack fields, that is said once all of the partition is there to be archived."""
        self._packing.add(page)
        with self._lock:  # pages come from several connections at once
            self._rows[query.name][page.offset] = rows
            self._received[query.name] += page.rows
            is_whole = self._received[query.name] == page.total
            self._number += len(rows)
            if rows.missing:
                lack = f"rows lack {', '.join(sorted(rows.missing))}; FINRA may have changed its format"
                self._problems.append(_problem(query, page.offset, reply, NotRows(lack)))
            if self._number > self._limits.max_rows:
                raise UnsafeSource(f"the pages have {too_many_rows(self._limits.max_rows)}")
        if is_whole and not self._problems:
            self._whole[self._places[query.name]] = self._all_of(query)

    def _all_of(self, query: Query) -> QueryRows:
        """The rows of all pages of a query; those of the others are on their way."""
        pages = self._rows.pop(query.name)
        rows = QueryRows.of([pages[offset] for offset in sorted(pages)], self._texts)
        if rows.is_torn:
            raise Torn("a row came in two pages")
        return rows


def _problem(query: Query, offset: int, reply: Reply, error: NotRows) -> str:
    named = f" (request {reply.request_id})" if reply.request_id else ""
    return f"FINRA's reply to {query.name} from row {offset:,}{named} cannot be used: {error}"


def _after(query: Query, first: Page) -> list[_Missing]:
    """The rows after the first page, in pages of its size: it may have been cut by its bytes."""
    return [
        _Missing(query, first.total, at, min(at + first.rows, first.total))
        for at in range(first.end, first.total, first.rows)
    ]


def torn_for_good(reasons: Iterable[str]) -> TransientSourceError:
    """The error for a partition that changed at each reading."""
    return TransientSourceError(f"the rows changed each time they were read: {'; '.join(reasons)}")


def _in_context(work: Callable[P, U]) -> Callable[P, U]:
    """The same in threads of a pool, which begin without the context of this one: lines of the log say the partition."""
    context = copy_context()
    return lambda *args, **kwargs: context.copy().run(work, *args, **kwargs)
