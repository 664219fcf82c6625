"""A request in, a reply out: what FINRA's API answers on a virtual date. Knows no socket."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from threading import Lock
from time import monotonic, perf_counter
from uuid import UUID

from pipeline.finra.calendar import market_today
from tests.fake_finra.asynchronous import RESULT_PATH, STATUS_PATH, Asynchronous
from tests.fake_finra.catalogue import Catalogue
from tests.fake_finra.datasets import GROUP, PARTITION_FIELDS, Dataset, datasets
from tests.fake_finra.encoding import to_csv, to_json
from tests.fake_finra.exchange import JSON, TEXT, Asked, Reply, error_reply, json_reply
from tests.fake_finra.faults import Fault, Faults
from tests.fake_finra.log import Entry, RequestLog
from tests.fake_finra.options import Empty, Options
from tests.fake_finra.queries import Query, Refused, read, read_get, select
from tests.fake_finra.rows import Row
from tests.fake_finra.spoiling import altered_query, altered_rows, spoilt
from tests.fake_finra.throttle import Throttle
from tests.fake_finra.tokens import TOKEN_PATH, Tokens

SELECTING = ("compareFilters", "dateRangeFilters", "domainFilters", "sortFields")
SELECTIONS_KEPT = 12  # the four cuts of a week's three tiers
PAYLOAD_LIMIT = "Response-Payload-Max-Size"


class Service:
    """FINRA on a virtual date, `today`; None is the date in New York, which a test may have frozen.

    `base` is the address that links name. `today`, `faults`, `tokens` and the catalogue may be changed while requests
    run; the options may not.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        options: Options | None = None,
        *,
        today: date | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.options = options or Options()
        self.base = ""
        self.faults = Faults()
        self.log = RequestLog()
        self.tokens = Tokens(self.options, clock or monotonic)
        self._today = today
        self._datasets = datasets(catalogue, self.options)
        self._throttle = Throttle(self.options.requests_per_second, 1.0, self.options.window, clock or perf_counter)
        self._asynchronous = Asynchronous(self.options)
        self._selections: OrderedDict[str, list[Row]] = OrderedDict()
        self._lock = Lock()
        self._requests = 0

    @property
    def today(self) -> date:
        """The virtual date."""
        return self._today or market_today()

    @today.setter
    def today(self, day: date | None) -> None:
        self._today = day

    def answer(self, asked: Asked, at: float) -> Reply:
        """The reply to a request that arrived `at`, spoilt where a fault strikes; it is logged."""
        request_id = self._request_id()
        faults: list[Fault] = []
        throttled = asked.path != TOKEN_PATH and not self._throttle.admits(asked.client)
        if throttled:
            reply = self._throttled()
        else:
            faults = self.faults.striking(asked)
            reply = self._route(asked, request_id, faults)
        reply = spoilt(replace(reply, headers={"FINRA-api-request-id": request_id, **reply.headers}), faults)
        self.log.add(_entry(asked, reply, at, request_id, throttled, faults))
        return reply

    def _request_id(self) -> str:
        with self._lock:
            self._requests += 1
            return str(UUID(int=self._requests))

    def _throttled(self) -> Reply:
        retry_after = self.options.retry_after
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        return error_reply(self.options.throttle_status, "Too many requests", headers)

    def _route(self, asked: Asked, request_id: str, faults: list[Fault]) -> Reply:
        if asked.path == TOKEN_PATH:
            return self.tokens.issue(asked) if asked.method == "POST" else error_reply(405, "Use POST")
        refusal = self.tokens.refuse(asked)
        if refusal is not None:
            return refusal
        if asked.path.startswith(f"{STATUS_PATH}/"):
            return self._asynchronous.poll(asked, self.base)
        if asked.path.startswith(f"{RESULT_PATH}/"):
            return self._asynchronous.result(asked)
        return self._of_dataset(asked, request_id, faults)

    def _of_dataset(self, asked: Asked, request_id: str, faults: list[Fault]) -> Reply:
        dataset = self._datasets.get(asked.dataset or "")
        resource, *rest = asked.names
        if dataset is None or rest != ["group", GROUP, "name", asked.dataset]:
            return error_reply(404, "Dataset not found")
        if resource == "partitions":
            return self._partitions(dataset)
        if resource != "data":
            return error_reply(404, "Resource not found")
        try:
            query = self._query(asked, dataset)
        except Refused as refused:
            return error_reply(400, str(refused))
        if query.asynchronous:
            whole = replace(query, limit=10**9) if not _limits(asked) else query
            return self._asynchronous.accept(
                asked, request_id, self.base, lambda: self._page(asked, whole, dataset, [], whole=True)
            )
        return self._page(asked, query, dataset, faults)

    def _query(self, asked: Asked, dataset: Dataset) -> Query:
        if asked.method == "GET":
            return read_get(asked.parameters, dataset, self.options)
        return read(asked.payload, dataset, self.options, self.today)

    def _partitions(self, dataset: Dataset) -> Reply:
        """Newest first."""
        if self.options.partitions_forbidden:
            return error_reply(403, "Forbidden")
        available = [
            {"partitions": [known[name] for name in PARTITION_FIELDS]}
            for known in reversed(dataset.partitions(self.today))
        ]
        return json_reply(200, {"partitionFields": list(PARTITION_FIELDS), "availablePartitions": available})

    def _page(self, asked: Asked, query: Query, dataset: Dataset, faults: list[Fault], *, whole: bool = False) -> Reply:
        """The rows from the offset on, as many as fit; `whole` knows no payload limit."""
        altered = altered_query(query, faults)
        rows = altered_rows(self._selected(asked, altered, dataset, cached=altered is query), dataset, faults)
        page = rows[altered.offset : altered.offset + altered.limit]
        headers = {
            "Record-Total": str(len(rows)),
            "Record-Offset": str(query.offset),
            "Record-Limit": str(query.limit),
            "Record-Max-Limit": str(self.options.max_limit),
            PAYLOAD_LIMIT: f"{self.options.max_payload / 1024 / 1024:g}MB",
        }
        if not page and asked.accepts_json:
            return self._empty(headers)
        encode = to_json if asked.accepts_json else to_csv
        options = replace(self.options, max_payload=10**12) if whole else self.options
        encoded = encode(page, altered, dataset, options)
        content_type = JSON if asked.accepts_json else TEXT
        return Reply(200, {"Content-Type": content_type, **headers}, encoded.body, encoded.rows)

    def _empty(self, headers: dict[str, str]) -> Reply:
        if self.options.empty is Empty.EMPTY_LIST:
            return Reply(200, {"Content-Type": JSON, **headers}, b"[]")
        return Reply(204, headers if self.options.empty is Empty.NO_CONTENT else {})

    def _selected(self, asked: Asked, query: Query, dataset: Dataset, *, cached: bool) -> list[Row]:
        """The rows that a query matches; those of the last few are kept, because they are asked for page by page."""
        if not cached:
            return select(query, dataset, self.today)
        payload = asked.payload if asked.method == "POST" and isinstance(asked.payload, dict) else {}
        selecting = {name: payload[name] for name in SELECTING if name in payload}
        key = json.dumps([dataset.name, str(self.today), self.catalogue.revision, selecting], default=str)
        with self._lock:
            found = self._selections.get(key)
        if found is None:
            found = select(query, dataset, self.today)
            with self._lock:
                self._selections[key] = found
                while len(self._selections) > SELECTIONS_KEPT:
                    self._selections.popitem(last=False)
        return found


def _limits(asked: Asked) -> bool:
    """Whether the request says how many rows it wants."""
    return isinstance(asked.payload, dict) and "limit" in asked.payload


def _entry(asked: Asked, reply: Reply, at: float, request_id: str, throttled: bool, faults: list[Fault]) -> Entry:
    return Entry(
        at=at,
        method=asked.method,
        path=asked.path,
        dataset=asked.dataset,
        body=asked.payload,
        status=0 if reply.cut == -1 else reply.status,
        rows=reply.rows,
        request_id=request_id,
        client=asked.client,
        with_token=asked.bearer is not None,
        throttled=throttled,
        faults=tuple(fault.kind.value for fault in faults),
        user_agent=asked.headers.get("User-Agent", ""),
    )
