"""The reference model of requests, after what is known of FINRA (finra.md, "API"): a body and plain rows in, a reply out.

weeklySummary takes any filter, and a sort of up to three fields where both partition keys are EQUAL-filtered. Its history
takes one date by EQUAL and the tier, no other filter, no sort, and no date outside its window.
"""

from __future__ import annotations

import operator as op
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

Plain = dict[str, Any]
COMPARE = {"EQUAL": op.eq, "NOT_EQUAL": op.ne, "GREATER": op.gt, "GTE": op.ge, "LESSER": op.lt, "LTE": op.le}
KEYS = {"weekStartDate", "tierIdentifier"}
NUMERIC = {"totalWeeklyShareQuantity", "totalNotionalSum", "totalWeeklyTradeCount", "firmCRDNumber"}
MOST_SORT_FIELDS = 3
DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET = 1000, 5000, 500_000


def answer(body: Plain, rows: Sequence[Plain]) -> tuple[int, list[Plain], Mapping[str, str]]:
    """Status, rows and the Record-* headers; no headers are promised with a 400."""
    try:
        found = _sorted(body, [row for row in rows if _matches(row, body)])
        limit, offset = body.get("limit", DEFAULT_LIMIT), body.get("offset", 0)
        fields = body.get("fields") or list(rows[0])
        if limit < 1 or not 0 <= offset <= MAX_OFFSET or not set(fields) <= rows[0].keys():
            return 400, [], {}
    except (ValueError, KeyError):
        return 400, [], {}
    limit = min(limit, MAX_LIMIT)
    page = [{name: row[name] for name in fields} for row in found[offset : offset + limit]]
    numbers = {"Total": len(found), "Offset": offset, "Limit": limit, "Max-Limit": MAX_LIMIT}
    return 200 if page else 204, page, {f"Record-{name}": str(number) for name, number in numbers.items()}


def _matches(row: Plain, body: Plain) -> bool:
    """Filters are ANDed. All are evaluated, so that an unlawful one is an error on any row."""
    holds = []
    for each in body.get("compareFilters", []):
        compare, wanted = COMPARE[each["compareType"]], _typed(each["fieldName"], each["fieldValue"])
        holds.append(_known(row, each) and compare(row[each["fieldName"]], wanted))
    for each in body.get("dateRangeFilters", []):
        first, last = (date.fromisoformat(each[end]).isoformat() for end in ("startDate", "endDate"))
        if not each["fieldName"].endswith("Date"):
            raise ValueError(each)
        holds.append(_known(row, each) and first <= row[each["fieldName"]] <= last)
    for each in body.get("domainFilters", []):
        wanted = [_typed(each["fieldName"], value) for value in each["values"]]
        holds.append(_known(row, each) and row[each["fieldName"]] in wanted)
    return all(holds)


def _known(row: Plain, each: Plain) -> bool:
    return row[each["fieldName"]] is not None


def _typed(name: str, given: str) -> Any:
    if name in NUMERIC:
        return Decimal(given)
    return date.fromisoformat(given).isoformat() if name.endswith("Date") else given


def _sorted(body: Plain, rows: list[Plain]) -> list[Plain]:
    """Allowed only where both partition keys are EQUAL-filtered; nulls first, ties in FINRA's own order."""
    sort = body.get("sortFields", [])
    pinned = {each["fieldName"] for each in body.get("compareFilters", []) if each["compareType"] == "EQUAL"}
    if sort and (not pinned >= KEYS or len(sort) > MOST_SORT_FIELDS):
        raise ValueError(sort)
    for sign, name in ((each[0], each[1:]) for each in reversed(sort)):
        if rows:
            rows.sort(key=lambda row, name=name: (row[name] is not None, row[name]), reverse=sign == "-")  # type: ignore[misc]
    return rows


def answer_of_history(body: Plain, rows: Sequence[Plain], window: tuple[date, date]) -> tuple[int, list[Plain]]:
    """Status and rows of the history, whose window is given; of its dates only weekStartDate is asked for here."""
    given = {each["fieldName"]: each for each in body.get("compareFilters", [])}
    only_equal = all(each["compareType"] == "EQUAL" for each in given.values())
    others = any(body.get(name) for name in ("sortFields", "dateRangeFilters", "domainFilters"))
    if set(given) != KEYS or not only_equal or others or len(body["compareFilters"]) != len(KEYS):
        return 400, []
    week, tier = (given[name]["fieldValue"] for name in ("weekStartDate", "tierIdentifier"))
    if date.fromisoformat(week).weekday() != 0 or not window[0] <= date.fromisoformat(week) <= window[1]:
        return 400, []
    found = [row for row in rows if (row["weekStartDate"], row["tierIdentifier"]) == (week, tier)]
    return (200 if found else 204), found
