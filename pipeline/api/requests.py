"""Reading a request strictly: nothing in it is ignored. The readers check the values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from django.http import QueryDict

from pipeline.api.forms import Form, form_named
from pipeline.api.problems import Fault, Problem
from pipeline.finra.plain_text import as_sentence
from pipeline.readers import did_you_mean
from pipeline.readers.meta import plain
from pipeline.readers.parameters import Parameter
from pipeline.readers.values import instant

PAGE, MOST_OF_A_PAGE = 1_000, 10_000
LONGEST_VALUE, MOST_VALUES = 2_000, 200
TRUTHS = {"true": True, "1": True, "false": False, "0": False}
PAGING = ("limit", "cursor")
OF_ANSWERS = ("format", "fields", "count_only")

Value = str | list[str]


@dataclass(frozen=True, slots=True)
class Request:
    """The question for the readers (`asked`), and the form of its answer.

    `shown` is the query that links repeat, without format, cursor and limit. Instants in it are in UTC, so that the same
    question has the same links.
    """

    asked: Mapping[str, Value]
    form: Form
    fields: tuple[str, ...] = ()
    count_only: bool = False
    limit: int | None = None
    cursor: str | None = None
    shown: Mapping[str, Value] = field(default_factory=dict)


def read(query: QueryDict, known: Mapping[str, Parameter], of_http: Collection[str], form: Form) -> Request:
    """The request in a query: `known` are the readers' parameters of the dataset, `of_http` the API's.

    Problem for a parameter that is unknown, repeated, or without a value.
    """
    values = _values(query, known, of_http)
    if "as_of" in values:
        values["as_of"] = plain(instant("as_of", str(values["as_of"])))
    http = {name: str(values.pop(name)) for name in list(values) if name in of_http and name not in known}
    shown = values | ({"fields": http["fields"]} if "fields" in http else {})
    return Request(
        asked=values,
        form=form_named(http["format"]) if "format" in http else form,
        fields=_names(http.get("fields", "")),
        count_only=_truth("count_only", http.get("count_only", "false")),
        limit=_limit(http["limit"]) if "limit" in http else None,
        cursor=http.get("cursor"),
        shown=shown,
    )


def check_none(query: QueryDict) -> None:
    """Problem for any parameter: the endpoint takes none."""
    _values(query, {}, ())


def _values(query: QueryDict, known: Mapping[str, Parameter], of_http: Collection[str]) -> dict[str, Value]:
    """The value of each parameter: a text, or a list where it is repeated."""
    allowed = sorted({*known, *of_http})
    unknown = [_unknown(name, allowed) for name in query if name not in allowed]
    if unknown:
        names = ", ".join(repr(fault.name) for fault in unknown)
        raise Problem("unknown-parameter", f"This endpoint has no parameter {names}.", unknown)
    many = {name for name, one in known.items() if one.many and name not in of_http}
    return {name: _value(name, texts, is_single=name not in many) for name, texts in query.lists()}


def _unknown(name: str, allowed: Sequence[str]) -> Fault:
    return Fault(name[:LONGEST_VALUE], did_you_mean=did_you_mean(name, allowed), allowed=allowed)


def _value(name: str, texts: list[str], *, is_single: bool) -> Value:
    if any("\0" in text or len(text) > LONGEST_VALUE for text in texts) or len(texts) > MOST_VALUES:
        detail = f"{name} has at most {MOST_VALUES} values of at most {LONGEST_VALUE:,} letters, none of which is NUL"
        raise invalid(name, detail)
    if is_single and len(texts) > 1:
        raise invalid(name, f"{name} is given {len(texts)} times: give it once")
    return texts if len(texts) > 1 else texts[0]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",")) if text else ()


def _truth(name: str, text: str) -> bool:
    if text.lower() not in TRUTHS:
        raise invalid(name, f"{name} is true or false, not {text!r}", ("true", "false"))
    return TRUTHS[text.lower()]


def _limit(text: str) -> int:
    """The size of a page; it does not bound the whole answer."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MOST_OF_A_PAGE):
        raise invalid("limit", f"limit is the size of a page, from 1 to {MOST_OF_A_PAGE:,}, not {text!r}")
    return int(text)


def invalid(name: str, detail: str, allowed: Sequence[str] = ()) -> Problem:
    """That a parameter has a value that it cannot have."""
    return Problem("invalid-parameter", as_sentence(detail), [Fault(name, detail, allowed=allowed)])
