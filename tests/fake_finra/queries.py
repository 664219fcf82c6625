"""A request's body: which rows it asks for, and what is unlawful in it. Pure: a dataset and a day in, rows out.

Every filter must hold. A null holds for none of them. Where finra.md gives no message for a 400, the service has its
own; only the one about sorting is FINRA's.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from pipeline.finra.calendar import MONDAY
from tests.fake_finra.datasets import HISTORIC_DATES, Dataset
from tests.fake_finra.options import Options
from tests.fake_finra.rows import DATES, NUMBERS, Row, Value

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "EQUAL": operator.eq,
    "NOT_EQUAL": operator.ne,
    "GREATER": operator.gt,
    "GTE": operator.ge,
    "LESSER": operator.lt,
    "LTE": operator.le,
}
DELIMITERS = {",", "|", "\t", "\x01"}
HISTORIC_ONLY = frozenset(HISTORIC_DATES[1:])
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH = timedelta(days=30)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Refused(Exception):
    """A request that is answered with 400 and this message."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter. `pins` is true for an EQUAL comparison, which is what the sort rule counts."""

    field: str
    holds: Callable[[Value], bool]
    pins: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A lawful request; `sort` holds pairs of a field and whether it descends. No `limit` is the default."""

    fields: tuple[str, ...]
    conditions: tuple[Condition, ...]
    sort: tuple[tuple[str, bool], ...]
    limit: int
    offset: int
    asynchronous: bool = False
    delimiter: str = ","
    quoted: bool = True


def read(body: object, dataset: Dataset, options: Options, today: date) -> Query:
    """The query that a POST asks; Refused where FINRA would."""
    if not isinstance(body, dict):
        raise Refused("The request payload must be a valid JSON object")
    if dataset.window is not None:
        _require_lawful_history(body, dataset.name, dataset.window(today))
    conditions = (
        *(_compare(entry, dataset) for entry in _entries(body, "compareFilters")),
        *(_range(entry, dataset) for entry in _entries(body, "dateRangeFilters")),
        *(_domain(entry, dataset) for entry in _entries(body, "domainFilters")),
    )
    return Query(
        fields=_fields(body, dataset),
        conditions=conditions,
        sort=_sort(body, conditions, dataset, options),
        limit=min(_number(body, "limit", options.default_limit, 1), options.max_limit),
        offset=_offset(body, options),
        asynchronous=body.get("async") is True,
        delimiter=_delimiter(body),
        quoted=body.get("quoteValues") is not False,
    )


def read_get(parameters: Mapping[str, str], dataset: Dataset, options: Options) -> Query:
    """The query that a GET asks: limit and offset count, everything else is silently ignored."""
    numbers = {name: _whole(parameters[name]) for name in ("limit", "offset") if name in parameters}
    return read(numbers, replace(dataset, window=None), options, date.max)


def select(query: Query, dataset: Dataset, today: date) -> list[Row]:
    """All rows that a query matches, oldest partition first unless it sorts."""
    found: list[Row] = []
    for known in dataset.partitions(today):
        of_partition = [each for each in query.conditions if each.field in known]
        if all(each.holds(known[each.field]) for each in of_partition):
            left = [each for each in query.conditions if each.field not in known]
            found.extend(_filtered(dataset.rows(known, today), left, dataset))
    for name, descending in reversed(query.sort):
        found.sort(key=partial(_sort_key, dataset.position[name]), reverse=descending)
    return found


def everything(query: Query) -> Query:
    """The query without its filters and its sort."""
    return replace(query, conditions=(), sort=())


def _filtered(rows: Sequence[Row], conditions: list[Condition], dataset: Dataset) -> Iterable[Row]:
    for condition in conditions:
        at, holds = dataset.position[condition.field], condition.holds
        rows = [row for row in rows if holds(row[at])]
    return rows


def _sort_key(at: int, row: Row) -> tuple[bool, Value]:
    """Nulls first; text by code point: symbols are case-sensitive."""
    return (row[at] is not None, row[at])


def _entries(body: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    entries = body.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Refused(f"{name} must be a list of objects")
    return entries


def _compare(entry: Mapping[str, object], dataset: Dataset) -> Condition:
    name = _filter_field(entry, dataset)
    kind = str(entry.get("compareType", "")).upper()
    if kind not in COMPARISONS:
        raise Refused(f"Invalid compareType {entry.get('compareType')!r}")
    wanted, compare = _value(name, entry.get("fieldValue")), COMPARISONS[kind]
    return Condition(name, lambda value: value is not None and compare(value, wanted), pins=kind == "EQUAL")


def _range(entry: Mapping[str, object], dataset: Dataset) -> Condition:
    """Both ends count."""
    name = _filter_field(entry, dataset)
    if name not in DATES | HISTORIC_ONLY:
        raise Refused(f"{name} is not a date field")
    first, last = _value(name, entry.get("startDate")), _value(name, entry.get("endDate"))
    return Condition(name, lambda value: value is not None and str(first) <= str(value) <= str(last))


def _domain(entry: Mapping[str, object], dataset: Dataset) -> Condition:
    name = _filter_field(entry, dataset)
    values = entry.get("values")
    if not isinstance(values, list):
        raise Refused(f"The domain filter of {name} needs a list of values")
    wanted = {_value(name, value) for value in values}
    return Condition(name, lambda value: value is not None and value in wanted)


def _filter_field(entry: Mapping[str, object], dataset: Dataset) -> str:
    name = str(entry.get("fieldName"))
    if not dataset.may_filter(name):
        raise Refused(f"Invalid filter field {name!r} for dataset {dataset.name}")
    return name


def _require_lawful_history(body: Mapping[str, object], name: str, window: tuple[date, date]) -> None:
    """A history takes one date, by EQUAL and within its window, and the tier; no other filter, and no sort."""
    if body.get("sortFields") or body.get("dateRangeFilters") or body.get("domainFilters"):
        raise Refused(f"{name} supports neither sorting nor filters other than EQUAL CompareFilter")
    given = _entries(body, "compareFilters")
    if any(str(each.get("compareType", "")).upper() != "EQUAL" for each in given):
        raise Refused(f"{name} supports only EQUAL CompareFilter")
    names = sorted(str(each.get("fieldName")) for each in given)
    dates = [each for each in given if each.get("fieldName") in HISTORIC_DATES]
    if len(dates) != 1 or names != sorted([str(dates[0]["fieldName"]), "tierIdentifier"]):
        raise Refused(f"{name} needs exactly one of {', '.join(HISTORIC_DATES)}, and tierIdentifier")
    _require_within(str(dates[0]["fieldName"]), str(dates[0].get("fieldValue")), window)


def _require_within(name: str, text: str, window: tuple[date, date]) -> None:
    """A month counts by its last day, for it may have begun before the window does."""
    day = date.fromisoformat(_historic_date(name, text)) if name in HISTORIC_ONLY else _day(name, text)
    if name == "weekStartDate" and day.weekday() != MONDAY:
        raise Refused(f"weekStartDate {text} is not a Monday")
    last = day + (MONTH if name == "historicalMonth" else timedelta(0))
    first, until = window
    if last < first or day > until:
        raise Refused(f"{name} {text} is not between minDate {first} and maxDate {until}")


def _value(name: str, given: object) -> Value:
    """A filter's value, of the field's type."""
    if isinstance(given, bool) or not isinstance(given, str | int | Decimal):
        raise Refused(f"Invalid value {given!r} for field {name}")
    if name in NUMBERS:
        return _decimal(name, given)
    if name in HISTORIC_ONLY:
        return _historic_date(name, str(given))
    if name in DATES:
        return _day(name, str(given)).isoformat()
    return str(given)


def _decimal(name: str, given: str | int | Decimal) -> Decimal:
    with suppress(InvalidOperation):
        number = Decimal(given)
        if number.is_finite():
            return number
    raise Refused(f"Invalid number {given!r} for field {name}")


def _day(name: str, text: str) -> date:
    """A date as YYYY-MM-DD, or with a time of day behind it."""
    match = DATE.match(text)
    try:
        return date.fromisoformat(match[0] if match else text)
    except ValueError:
        raise Refused(f"Invalid date {text!r} for field {name}") from None


def _historic_date(name: str, text: str) -> str:
    """The Monday of a date's week, or the first of its month; clients were seen to write a month as 2021-Nov, too."""
    if name == "historicalMonth":
        return _day(name, _spelt(text)).replace(day=1).isoformat()
    day = _day(name, text)
    return date.fromordinal(day.toordinal() - (day.weekday() - MONDAY)).isoformat()


def _spelt(text: str) -> str:
    """`2021-Nov` as `2021-11-01`; any other text as it is."""
    year, dash, month = text.partition("-")
    return f"{year}-{MONTHS.index(month) + 1:02}-01" if dash and month in MONTHS else text


def _fields(body: Mapping[str, object], dataset: Dataset) -> tuple[str, ...]:
    """The fields asked for; all of them for an empty list."""
    names = body.get("fields") or dataset.fields
    if not isinstance(names, list | tuple) or not all(name in dataset.fields for name in names):
        raise Refused(f"Invalid fields {names!r} for dataset {dataset.name}")
    return tuple(names)


def _sort(
    body: Mapping[str, object], conditions: Sequence[Condition], dataset: Dataset, options: Options
) -> tuple[tuple[str, bool], ...]:
    sort = body.get("sortFields") or []
    if not isinstance(sort, list) or not all(isinstance(name, str) for name in sort):
        raise Refused("sortFields must be a list of field names")
    names = [(name.lstrip("+-"), name.startswith("-")) for name in sort]
    pinned = {condition.field for condition in conditions if condition.pins}
    missing = [name for name in dataset.sort_keys if name not in pinned]
    if names and missing:
        raise Refused(
            "Sorting is allowed only if all partitions keys are specified in EQUAL CompareFilter."
            f"Partition keys missing or not using EQUAL CompareFilter: {', '.join(missing)}"
        )
    if not all(name in dataset.fields for name, _ in names):
        raise Refused(f"Invalid sortFields {sort!r} for dataset {dataset.name}")
    if len(names) > options.most_sort_fields:
        raise Refused(f"No more than {options.most_sort_fields} sortFields are allowed, not {len(names)}")
    return tuple(names)


def _offset(body: Mapping[str, object], options: Options) -> int:
    offset = _number(body, "offset", 0, 0)
    if offset > options.max_offset:
        raise Refused(f"The offset must not be greater than {options.max_offset}")
    return offset


def _number(body: Mapping[str, object], name: str, default: int, least: int) -> int:
    number = body.get(name, default)
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise Refused(f"Invalid {name} {number!r}")
    return number


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise Refused(f"Invalid number {text!r}")
    return int(text)


def _delimiter(body: Mapping[str, object]) -> str:
    delimiter = body.get("delimiter", ",")
    if delimiter not in DELIMITERS:
        raise Refused(f"Invalid delimiter {delimiter!r}")
    return str(delimiter)
