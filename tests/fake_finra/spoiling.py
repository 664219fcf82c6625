"""What a fault does: to the rows selected, or to the finished reply."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.fake_finra.datasets import Dataset
from tests.fake_finra.exchange import HTML, JSON, TEXT, Ending, Reply, error_reply
from tests.fake_finra.faults import Fault, Kind
from tests.fake_finra.queries import Query, everything
from tests.fake_finra.rows import Row

ERROR_PAGE = b"<html><head><title>Error</title></head><body><h1>The service is unavailable</h1></body></html>"
OTHERWISE = {"T1": "T2", "T2": "OTCE", "OTCE": "T1", "NA": "T1"}


def altered_query(query: Query, faults: list[Fault]) -> Query:
    """The query that is answered in place of the one asked."""
    for fault in faults:
        if fault.kind is Kind.FILTERS_IGNORED:
            query = everything(query)
        elif fault.kind is Kind.DUPLICATED_PAGE:
            query = replace(query, offset=max(0, query.offset - query.limit))
        elif fault.kind is Kind.SHORT_PAGE:
            query = replace(query, limit=min(query.limit, fault.amount))
    return query


def altered_rows(rows: list[Row], dataset: Dataset, faults: list[Fault]) -> list[Row]:
    """The rows that are paged in place of those selected."""
    for fault in faults:
        alter = ROWS.get(fault.kind)
        if alter is not None and rows:
            rows = alter(rows, dataset)
    return rows


def spoilt(reply: Reply, faults: list[Fault]) -> Reply:
    """The reply that is sent in place of the right one."""
    for fault in faults:
        spoil = REPLIES.get(fault.kind)
        if spoil is not None:
            reply = spoil(reply, fault)
    return reply


def _newcomer(row: Row, dataset: Dataset, symbol: str) -> Row:
    at = dataset.position.get("issueSymbolIdentifier", 0)
    return (*row[:at], symbol, *row[at + 1 :])


ROWS: Mapping[Kind, Callable[[list[Row], Dataset], list[Row]]] = {
    Kind.ROW_ADDED: lambda rows, dataset: [_newcomer(rows[0], dataset, "0NEW"), *rows],
    Kind.ROW_TWICE: lambda rows, dataset: [rows[0], *rows],
    Kind.ROW_REMOVED: lambda rows, dataset: rows[1:],
    Kind.ROWS_SHIFTED: lambda rows, dataset: [_newcomer(rows[0], dataset, "0NEW"), *rows[:-1]],
    Kind.ROWS_SLIPPED: lambda rows, dataset: [*rows[1:], _newcomer(rows[-1], dataset, "zNEW")],
    Kind.NOTHING: lambda rows, dataset: [],
}


def _substitute(pattern: str, replacement: str) -> Callable[[Reply, Fault], Reply]:
    """Replace the first match in the body."""
    compiled = re.compile(pattern.encode())

    def spoil(reply: Reply, fault: Fault) -> Reply:
        return replace(reply, body=compiled.sub(replacement.encode(), reply.body, count=1))

    return spoil


def _header(name: str, value: str | None) -> Callable[[Reply, Fault], Reply]:
    """Set a header, or leave it out."""

    def spoil(reply: Reply, fault: Fault) -> Reply:
        others = {known: text for known, text in reply.headers.items() if known != name}
        return replace(reply, headers=others if value is None else {**others, name: value})

    return spoil


def _body(body: bytes, content_type: str | None = None) -> Callable[[Reply, Fault], Reply]:
    """Another body under the same headers."""

    def spoil(reply: Reply, fault: Fault) -> Reply:
        headers = reply.headers if content_type is None else {**reply.headers, "Content-Type": content_type}
        return replace(reply, status=200, headers=headers, body=body, rows=0)

    return spoil


def _status(reply: Reply, fault: Fault) -> Reply:
    return Reply(fault.status, {"Content-Type": HTML}, ERROR_PAGE)


def _storm(reply: Reply, fault: Fault) -> Reply:
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    return error_reply(429, "Too many requests", headers)


def _redirect(reply: Reply, fault: Fault) -> Reply:
    return Reply(302, {"Location": "http://elsewhere.example/data"})


def _total_wrong(reply: Reply, fault: Fault) -> Reply:
    total = int(reply.headers.get("Record-Total", "0")) + fault.amount
    return replace(reply, headers={**reply.headers, "Record-Total": str(total)})


def _offset_wrong(reply: Reply, fault: Fault) -> Reply:
    offset = int(reply.headers.get("Record-Offset", "0")) + fault.amount
    return replace(reply, headers={**reply.headers, "Record-Offset": str(offset)})


def _csv(reply: Reply, fault: Fault) -> Reply:
    """The rows as CSV, under the type that belongs to it."""
    rows = [row for row in json.loads(reply.body or b"[]", parse_float=str) if isinstance(row, dict)]
    lines = [list(rows[0]), *(row.values() for row in rows)] if rows else []
    body = "".join(",".join("" if value is None else str(value) for value in line) + "\n" for line in lines)
    return replace(reply, headers={**reply.headers, "Content-Type": TEXT}, body=body.encode())


def _truncated(reply: Reply, fault: Fault) -> Reply:
    """JSON that stops in the middle, under a Content-Length that agrees."""
    return replace(reply, body=reply.body[: len(reply.body) // 2])


def _invalid_utf8(reply: Reply, fault: Fault) -> Reply:
    return replace(reply, body=reply.body.replace(b'Name":"', b'Name":"\xc3\x28', 1))


def _repeated_row(reply: Reply, fault: Fault) -> Reply:
    """The first row once more, at the end; the total does not count it."""
    first = reply.body[1 : reply.body.find(b"}") + 1]
    return replace(reply, body=reply.body[:-1] + b"," + first + b"]", rows=reply.rows + 1)


def _no_content(reply: Reply, fault: Fault) -> Reply:
    return Reply(204, reply.headers)


def _oversized(reply: Reply, fault: Fault) -> Reply:
    return replace(reply, body=b"[" + b" " * fault.amount + b"]")


def _cut(*, mid_body: bool, ending: Ending) -> Callable[[Reply, Fault], Reply]:
    def spoil(reply: Reply, fault: Fault) -> Reply:
        return replace(reply, cut=len(reply.body) // 2 if mid_body else -1, ending=ending)

    return spoil


def _slow(reply: Reply, fault: Fault) -> Reply:
    return replace(reply, piece=max(1, len(reply.body) // 20), pause=fault.seconds)


def _late(reply: Reply, fault: Fault) -> Reply:
    return replace(reply, wait=fault.seconds)


def _wrong_tier(reply: Reply, fault: Fault) -> Reply:
    found = re.search(rb'"tierIdentifier":"(\w+)"', reply.body)
    other = OTHERWISE[found[1].decode()] if found else ""
    return _substitute(r'"tierIdentifier":"\w+"', f'"tierIdentifier":"{other}"')(reply, fault)


def _unauthorized(reply: Reply, fault: Fault) -> Reply:
    return error_reply(401, "The access token is invalid or has expired", {"WWW-Authenticate": "Bearer"})


_SHARES = r'"totalWeeklyShareQuantity":-?[\d.]+'

REPLIES: Mapping[Kind, Callable[[Reply, Fault], Reply]] = {
    Kind.RESET_AT_ONCE: _cut(mid_body=False, ending=Ending.RESET),
    Kind.CLOSED_AT_ONCE: _cut(mid_body=False, ending=Ending.CLOSED),
    Kind.RESET_MID_BODY: _cut(mid_body=True, ending=Ending.RESET),
    Kind.CLOSED_MID_BODY: _cut(mid_body=True, ending=Ending.CLOSED),
    Kind.SLOW_BYTES: _slow,
    Kind.LATE: _late,
    Kind.STATUS: _status,
    Kind.STORM: _storm,
    Kind.UNAUTHORIZED: _unauthorized,
    Kind.REDIRECT: _redirect,
    Kind.HTML_PAGE: _body(ERROR_PAGE, HTML),
    Kind.ERROR_IN_200: _body(b'{"statusCode":200,"message":"No data found for specified dataset request"}'),
    Kind.EMPTY_BODY: _body(b""),
    Kind.NO_CONTENT: _no_content,
    Kind.EMPTY_LIST: _body(b"[]", JSON),
    Kind.OBJECT: _body(b'{"rows":[]}'),
    Kind.OVERSIZED: _oversized,
    Kind.CSV: _csv,
    Kind.WRONG_CONTENT_TYPE: _header("Content-Type", HTML),
    Kind.TRUNCATED_JSON: _truncated,
    Kind.INVALID_UTF8: _invalid_utf8,
    Kind.GARBLED_GZIP: _header("Content-Encoding", "gzip"),
    Kind.TOTAL_WRONG: _total_wrong,
    Kind.TOTAL_MISSING: _header("Record-Total", None),
    Kind.TOTAL_GARBAGE: _header("Record-Total", "many"),
    Kind.OFFSET_WRONG: _offset_wrong,
    Kind.REQUEST_ID_MISSING: _header("FINRA-api-request-id", None),
    Kind.UNKNOWN_FIELD: _substitute(r"\{", '{"venueColour":"blue",'),
    Kind.MISSING_FIELD: _substitute(r'"totalWeeklyTradeCount":\d+,|,"totalWeeklyTradeCount":\d+', ""),
    Kind.WRONG_TIER: _wrong_tier,
    Kind.WRONG_WEEK: _substitute(r'"weekStartDate":"[\d-]+"', '"weekStartDate":"2001-01-01"'),
    Kind.WRONG_SUMMARY_TYPE: _substitute(r'"summaryTypeCode":"\w+"', '"summaryTypeCode":"ATS_W_VOL_STATS"'),
    Kind.NULL_SHARES: _substitute(_SHARES, '"totalWeeklyShareQuantity":null'),
    Kind.NEGATIVE_SHARES: _substitute(_SHARES, '"totalWeeklyShareQuantity":-5'),
    Kind.SHARES_AS_TEXT: _substitute(_SHARES, '"totalWeeklyShareQuantity":"100"'),
    Kind.NAN_SHARES: _substitute(_SHARES, '"totalWeeklyShareQuantity":NaN'),
    Kind.VALUE: lambda reply, fault: _substitute(
        rf'"{fault.named}":(?:"[^"]*"|[^,}}]*)', f'"{fault.named}":{fault.figure}'
    )(reply, fault),
    Kind.BAD_DATE: _substitute(r'"lastUpdateDate":"[\d-]+"', '"lastUpdateDate":"2021-02-30"'),
    Kind.REPEATED_ROW: _repeated_row,
    Kind.TOKEN_WITHOUT_EXPIRY: _substitute(r',"expires_in":"?\d+"?', ""),
    Kind.TOKEN_USELESS: _substitute(r'"access_token":"\w+"', '"access_token":"useless"'),
}
