"""Each kind of misbehaviour, once: what comes over the socket, and that the next reply is right again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.client import HTTPException
from time import perf_counter
from typing import Any

import pytest

from tests.fake_finra import Fault, FinraServer, Kind
from tests.test_fake_finra.asking import Answer, ask, of_partition
from tests.test_fake_finra.test_access import token_of

ASKED = {"compareFilters": of_partition("2025-10-27", "T1"), "limit": 10, "offset": 10}
Differs = Callable[[Answer, Answer], bool]


def _status(status: int) -> Differs:
    return lambda seen, right: seen.status == status


def _body(body: bytes) -> Differs:
    return lambda seen, right: (seen.status, seen.body) == (200, body)


def _header(name: str, value: str | None) -> Differs:
    return lambda seen, right: seen.headers[name] == value and seen.body == right.body


def _one_row(change: Mapping[str, Any]) -> Differs:
    """The first row reads otherwise; the others are right."""
    return lambda seen, right: seen.json == [{**right.json[0], **change}, *right.json[1:]]


def _total(by: int) -> Differs:
    return lambda seen, right: seen.total == right.total + by


def _shifted(by: int) -> Differs:
    """The rows have moved within the pages, though the total may say nothing of it."""

    def differs(seen: Answer, right: Answer) -> bool:
        behind, ahead = (seen.json, right.json) if by > 0 else (right.json, seen.json)
        return bool(behind[1:] == ahead[:-1] and seen.total == right.total)

    return differs


def _not_json(seen: Answer, right: Answer) -> bool:
    try:
        json.loads(seen.body)
    except ValueError:
        return True
    return False


BROKEN_OFF = (Kind.RESET_AT_ONCE, Kind.CLOSED_AT_ONCE, Kind.RESET_MID_BODY, Kind.CLOSED_MID_BODY)
SLOW = (Kind.SLOW_BYTES, Kind.LATE)
OF_TOKENS = (Kind.TOKEN_WITHOUT_EXPIRY, Kind.TOKEN_USELESS)
DIFFERENT: Mapping[Kind, Differs] = {
    Kind.STATUS: _status(503),
    Kind.STORM: _status(429),
    Kind.UNAUTHORIZED: _status(401),
    Kind.REDIRECT: _status(302),
    Kind.NO_CONTENT: _status(204),
    Kind.HTML_PAGE: lambda seen, right: seen.status == 200 and seen.body.startswith(b"<html>"),
    Kind.ERROR_IN_200: lambda seen, right: seen.status == seen.json["statusCode"] == 200,
    Kind.EMPTY_BODY: _body(b""),
    Kind.EMPTY_LIST: _body(b"[]"),
    Kind.OBJECT: _body(b'{"rows":[]}'),
    Kind.OVERSIZED: _body(b"[ ]"),
    Kind.CSV: lambda seen, right: seen.body.splitlines()[0].decode() == ",".join(right.json[0]),
    Kind.WRONG_CONTENT_TYPE: _header("Content-Type", "text/html; charset=utf-8"),
    Kind.TRUNCATED_JSON: _not_json,
    Kind.INVALID_UTF8: _not_json,
    Kind.GARBLED_GZIP: _header("Content-Encoding", "gzip"),
    Kind.TOTAL_WRONG: _total(1),
    Kind.TOTAL_MISSING: _header("Record-Total", None),
    Kind.TOTAL_GARBAGE: _header("Record-Total", "many"),
    Kind.OFFSET_WRONG: _header("Record-Offset", "11"),
    Kind.REQUEST_ID_MISSING: _header("FINRA-api-request-id", None),
    Kind.UNKNOWN_FIELD: _one_row({"venueColour": "blue"}),
    Kind.MISSING_FIELD: lambda seen, right: right.json[0].keys() - seen.json[0].keys() == {"totalWeeklyTradeCount"},
    Kind.WRONG_TIER: _one_row({"tierIdentifier": "T2"}),
    Kind.WRONG_WEEK: _one_row({"weekStartDate": "2001-01-01"}),
    Kind.WRONG_SUMMARY_TYPE: _one_row({"summaryTypeCode": "ATS_W_VOL_STATS"}),
    Kind.NULL_SHARES: _one_row({"totalWeeklyShareQuantity": None}),
    Kind.NEGATIVE_SHARES: _one_row({"totalWeeklyShareQuantity": -5}),
    Kind.SHARES_AS_TEXT: _one_row({"totalWeeklyShareQuantity": "100"}),
    Kind.NAN_SHARES: lambda seen, right: b'"totalWeeklyShareQuantity":NaN' in seen.body,
    Kind.VALUE: _one_row({"totalWeeklyShareQuantity": 0}),
    Kind.ROW_TWICE: _total(1),
    Kind.BAD_DATE: _one_row({"lastUpdateDate": "2021-02-30"}),
    Kind.REPEATED_ROW: lambda seen, right: seen.json == [*right.json, right.json[0]],
    Kind.DUPLICATED_PAGE: lambda seen, right: seen.headers["Record-Offset"] == "10" and seen.json != right.json,
    Kind.SHORT_PAGE: lambda seen, right: seen.json == right.json[:1] and seen.total == right.total,
    Kind.ROW_ADDED: _total(1),
    Kind.ROW_REMOVED: _total(-1),
    Kind.ROWS_SHIFTED: _shifted(1),
    Kind.ROWS_SLIPPED: _shifted(-1),
    Kind.NOTHING: _status(204),
    Kind.FILTERS_IGNORED: lambda seen, right: seen.total > right.total,
}


def test_every_kind_of_fault_is_tried_here() -> None:
    assert {*DIFFERENT, *BROKEN_OFF, *SLOW, *OF_TOKENS} == set(Kind)


@pytest.mark.parametrize("kind", DIFFERENT)
def test_a_fault_spoils_one_reply_and_the_next_is_right(finra: FinraServer, kind: Kind) -> None:
    right = ask(finra, ASKED)
    fault = finra.service.faults.add(Fault(kind))
    assert DIFFERENT[kind](ask(finra, ASKED), right)
    again = ask(finra, ASKED)
    assert (again.status, again.body, again.total) == (200, right.body, right.total)
    assert fault.spoilt == 1
    assert [entry.faults for entry in finra.service.log.entries()] == [(), (kind.value,), ()]


@pytest.mark.parametrize("kind", BROKEN_OFF)
def test_a_connection_breaks_off_and_the_next_is_served(finra: FinraServer, kind: Kind) -> None:
    finra.service.faults.add(Fault(kind))
    with pytest.raises((OSError, HTTPException)):
        ask(finra, ASKED)
    assert ask(finra, ASKED).status == 200


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_reply_takes_its_time_and_comes_whole(finra: FinraServer, kind: Kind) -> None:
    right = ask(finra, ASKED)
    finra.service.faults.add(Fault(kind, seconds=0.01 if kind is Kind.SLOW_BYTES else 0.1))
    began = perf_counter()
    assert ask(finra, ASKED).body == right.body
    assert perf_counter() - began >= 0.1


def test_a_duplicated_page_is_the_page_before(finra: FinraServer) -> None:
    before = ask(finra, {**ASKED, "offset": 0})
    finra.service.faults.add(Fault(Kind.DUPLICATED_PAGE))
    assert ask(finra, ASKED).json == before.json


def test_faults_of_tokens_spoil_what_the_token_endpoint_says(finra: FinraServer) -> None:
    for kind in OF_TOKENS:
        finra.service.faults.add(Fault(kind, path="access_token"))
    issued = token_of(finra).json
    assert "expires_in" not in issued
    assert ask(finra, ASKED, headers={"Authorization": f"Bearer {issued['access_token']}"}).status == 401
    assert len(token_of(finra).json["access_token"]) == 64


def test_a_fault_strikes_only_the_requests_it_fits(finra: FinraServer) -> None:
    fault = Fault(Kind.STATUS, times=2, after=1, offset=5, equal={"tierIdentifier": "T1"}, status=504)
    finra.service.faults.add(fault)
    other = {**ASKED, "compareFilters": of_partition("2025-10-27", "T2")}
    asked: list[dict[str, Any]] = [ASKED, other, {**ASKED, "offset": 4}, ASKED, ASKED, ASKED]
    assert [ask(finra, each).status for each in asked] == [200, 200, 200, 504, 504, 200]
