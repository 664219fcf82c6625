"""All rows of a query, page by page.

A page holds as many rows as were asked for or 3 MB, whichever comes first: what a page lacks is asked for again. Paging is
not a snapshot: where the total moves, a page is empty before the end or a row comes twice, the reading is torn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock

from pipeline.sources.base import TransientSourceError, UnsafeSource, UnusableReply, too_many_rows
from pipeline.sources.finra_api.pages import (
    JsonRow,
    NotRows,
    Page,
    check_fields,
    check_place,
    decode,
    distinct,
    natural_key,
    pack_pages,
)
from pipeline.sources.finra_api.questions import MOST_ROWS, Query, data_path
from pipeline.sources.finra_api.transport import Rejected, Reply, Transport

logger = logging.getLogger(__name__)

MOST_DIGITS = 10
MOST_TOTAL = 505_000  # the last page begins at offset 500,000 at the latest
Heard = Callable[[Sequence[JsonRow]], None]


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


class Pager:
    """Reads queries over one transport, several pages at once. `heard` is told the rows of each page as it comes.

    UnsafeSource as soon as all that was read is more than `limits` allow.
    """

    def __init__(self, transport: Transport, connections: int, heard: Heard, limits: Limits) -> None:
        self._transport = transport
        self._connections = connections
        self._heard = heard
        self._limits = limits
        self._bytes = 0
        self._pages: list[Page] = []
        self._problems: list[str] = []
        self._seen: set[tuple[object, ...]] = set()
        self._taken: Query | None = None
        self._lock = Lock()

    def read(self, queries: Sequence[Query]) -> list[Page]:
        """The pages of all queries, in their order; none where nothing is published.

        Torn, UnusableReply, UnsafeSource for more bytes than allowed, or what the transport raises.
        """
        with ThreadPoolExecutor(self._connections, thread_name_prefix="finra-page") as pool:
            begun = [(asked, first) for asked, first in pool.map(self._first, queries) if first is not None]
            pages = [first for _, first in begun]
            missing = [gap for asked, first in begun for gap in _after(asked, first)]
            while missing:
                read = list(pool.map(self._range, missing))
                pages += read
                missing = [
                    replace(gap, start=page.end) for page, gap in zip(read, missing, strict=True) if page.end < gap.end
                ]
        if self._problems:
            raise self._unusable(self._problems[0])
        order = {query.name: place for place, query in enumerate(queries)}
        return sorted(pages, key=lambda page: (order[page.query], page.offset))

    def _first(self, query: Query) -> tuple[Query, Page | None]:
        """The first page, and the query as FINRA takes it: simpler where it refuses a sort or a field (400)."""
        asked = query.as_simple_as(self._taken)
        while True:
            try:
                page = self._page(asked, MOST_ROWS, None, 0)
            except Rejected as error:
                simpler = asked.simpler()
                if simpler is None:
                    raise
                logger.info("%s is asked for more simply: %s", query.name, error)
                asked = simpler
            else:
                self._taken = asked
                return asked, page

    def _range(self, gap: _Missing) -> Page:
        page = self._page(gap.query, gap.end - gap.start, gap.total, gap.start)
        if page is None:
            raise Torn(f"nothing is there any more from row {gap.start:,} of {gap.total:,} on")
        return page

    def _page(self, query: Query, limit: int, total: int | None, offset: int) -> Page | None:
        """Some rows of a query; None where the service has nothing."""
        reply = self._transport.post(data_path(query.dataset), query.page(offset, limit))
        self._weigh(reply)
        try:
            page, rows = read_page(query, offset, limit, reply)
            check_place(rows, query.expected)
        except NotRows as error:
            self._pages.append(Page(query.name, offset, 0, 0, reply.request_id, reply.body))
            raise self._unusable(_told(query, offset, reply, error)) from error
        if not rows:
            return None
        if total is not None and page.total != total:
            raise Torn(f"{query.name} had {total:,} rows, and {page.total:,} at row {offset:,}")
        if page.rows > limit or page.end > page.total:
            raise Torn(f"{query.name} gave {page.rows:,} rows from {offset:,} on, of {page.total:,}")
        self._pages.append(page)
        self._take(query, rows, page, reply)
        logger.info("%s: rows %s to %s of %s, %s", query.name, page.offset, page.end, page.total, page.request_id)
        return page

    def _unusable(self, told: str) -> UnusableReply:
        """The error that brings along all that came."""
        return UnusableReply(told, pack_pages(sorted(self._pages, key=lambda page: (page.query, page.offset))))

    def _weigh(self, reply: Reply) -> None:
        with self._lock:
            self._bytes += len(reply.body)
            size = self._bytes
        if size > self._limits.max_bytes:
            raise UnsafeSource(
                f"the pages have {size:,} bytes together, more than the {self._limits.max_bytes:,} allowed: if that is "
                "right, raise MARKETSPINE_MAX_FILE_BYTES"
            )

    def _take(self, query: Query, rows: Sequence[JsonRow], page: Page, reply: Reply) -> None:
        """Hear the rows. Where they lack fields, that is said once all of the partition is there to be archived."""
        try:
            check_fields(rows)
            keys = set(map(natural_key, rows))
        except (NotRows, TypeError) as error:
            said = error if isinstance(error, NotRows) else NotRows("its rows have lists or objects for values")
            self._problems.append(_told(query, page.offset, reply, said))
            return
        with self._lock:  # pages come from several connections at once
            if not keys.isdisjoint(self._seen):
                raise Torn(f"{query.name} gave a row twice")
            if len(self._seen) + len(keys) > self._limits.max_rows:
                raise UnsafeSource(f"the pages have {too_many_rows(self._limits.max_rows)}")
            self._seen |= keys
            self._heard(rows)


def _told(query: Query, offset: int, reply: Reply, error: NotRows) -> str:
    named = f" (request {reply.request_id})" if reply.request_id else ""
    return f"FINRA's reply to {query.name} from row {offset:,}{named} cannot be used: {error}"


def read_page(query: Query, offset: int, limit: int, reply: Reply) -> tuple[Page, list[JsonRow]]:
    """A reply as a page, and its rows. NotRows where it is none, or does not say how many rows there are."""
    if reply.status == 204:
        return Page(query.name, offset, 0, 0, reply.request_id, b""), []
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise NotRows(f"it is {kind or 'of no type'}, and JSON was asked for; it begins {reply.body[:40]!r}")
    rows = decode(reply.body)
    if not rows:
        return Page(query.name, offset, 0, 0, reply.request_id, reply.body), rows
    if reply.headers.get("record-offset", str(offset)) != str(offset):
        raise NotRows(f"it begins at row {reply.headers['record-offset']}")
    total, said = total_of(reply), reply.headers.get("record-limit", "")
    limit = min(limit, int(said)) if said.isascii() and said.isdecimal() and len(said) < MOST_DIGITS else limit
    return Page(
        query.name, offset, _received(rows, min(limit, total - offset)), total, reply.request_id, reply.body
    ), rows


def _received(rows: Sequence[JsonRow], most: int) -> int:
    """How many rows of the query came, of `most`: one that comes twice within the reply may not be counted by FINRA."""
    if len(rows) <= most:
        return len(rows)
    try:
        return len(distinct(rows))
    except TypeError:  # lists or objects for values: told later, with all that came
        return len(rows)


def total_of(reply: Reply) -> int:
    """How many rows the query has, from `Record-Total`."""
    said = reply.headers.get("record-total", "")
    if not said.isdecimal():
        raise NotRows(f"its header Record-Total is {said!r}: without it nobody knows where the rows end")
    if int(said) > MOST_TOTAL:
        raise NotRows(f"its header Record-Total is {said}, and FINRA gives no more than {MOST_TOTAL:,} rows of a query")
    return int(said)


def _after(query: Query, first: Page) -> list[_Missing]:
    """The rows after the first page, in pages of its size: it may have been cut by its bytes."""
    return [
        _Missing(query, first.total, at, min(at + first.rows, first.total))
        for at in range(first.end, first.total, first.rows)
    ]


def torn_for_good(reasons: Iterable[str]) -> TransientSourceError:
    """What becomes of a partition that changed at each reading."""
    return TransientSourceError(f"the rows changed each time they were read: {'; '.join(reasons)}")
