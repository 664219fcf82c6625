"""The readers' dictionary and parameters as JSON Schema, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

import polars as pl

from pipeline.api.forms import FORMS, PARQUET, Form
from pipeline.api.problem_kinds import KINDS
from pipeline.api.problems import MEDIA_TYPE
from pipeline.api.requests import MOST_OF_A_PAGE, PAGE
from pipeline.readers import PARAMETERS, Dataset, Field
from pipeline.readers.parameters import Parameter, ParameterType

Schema = dict[str, Any]
DECIMAL = r"^-?[0-9]+\.[0-9]{6}$"
TEXT: Schema = {"type": "string"}
DAY: Schema = {"type": "string", "format": "date"}
INSTANT: Schema = {"type": "string", "format": "date-time"}

OF_TYPE: dict[ParameterType, Schema] = {
    ParameterType.TEXT: TEXT,
    ParameterType.DAY: DAY,
    ParameterType.INSTANT: TEXT,
    ParameterType.WHOLE: {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    ParameterType.NUMBER: {"type": "number"},
    ParameterType.CHOICE: TEXT,
}
OF_HTTP: dict[str, tuple[str, Schema]] = {
    "format": ("the form of the answer; the Accept header says it, too", {**TEXT, "enum": list(FORMS)}),
    "fields": ("only these columns, with commas between them", TEXT),
    "count_only": ("how many rows there are, and none of them", {"type": "boolean"}),
    "limit": (
        "the size of a page, not of the answer: go on with links.next until there is none",
        {"type": "integer", "minimum": 1, "maximum": MOST_OF_A_PAGE, "default": PAGE},
    ),
    "cursor": ("where a walk over pages goes on: from links.next", TEXT),
}
PROBLEM: Schema = {
    "type": "object",
    "description": "An error (RFC 9457). Beside these members stand its facts: due_date, nearest_fridays, first_known_at.",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {**TEXT, "enum": [kind.address for kind in KINDS.values()]},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "instance": TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["in", "name"],
                "properties": {
                    "in": TEXT,
                    "name": TEXT,
                    "detail": TEXT,
                    "allowed": {"type": "array", "items": TEXT},
                    "did_you_mean": TEXT,
                },
            },
        },
    },
    "examples": [
        {
            "type": KINDS["not-a-friday"].address,
            "title": KINDS["not-a-friday"].title,
            "status": int(KINDS["not-a-friday"].status),
            "detail": "2026-10-22 is a Thursday; did you mean 2026-10-16 or 2026-10-23?",
            "instance": "/api/v1/rows",
            "errors": [{"in": "query", "name": "week_ending", "detail": "2026-10-22 is a Thursday"}],
            "nearest_fridays": ["2026-10-16", "2026-10-23"],
        }
    ],
}
META: Schema = {
    "type": "object",
    "description": "What the answer says of itself: the instant, the captures it is made from, what is lacking, versions.",
    "additionalProperties": True,
}
WARNINGS: Schema = {
    "type": "array",
    "items": {"type": "object", "required": ["code", "text"], "properties": {"code": TEXT, "text": TEXT}},
}
LINKS: Schema = {
    "type": "object",
    "description": "The same answer in other forms, and the next page: none where there is no more.",
    "additionalProperties": TEXT,
}
ENVELOPE: dict[str, Schema] = {"Meta": META, "Warnings": WARNINGS, "Links": LINKS}
SHARED: dict[str, Schema] = {"Problem": PROBLEM, **ENVELOPE}
HEADERS: Schema = {
    "RateLimit-Policy": {"schema": TEXT, "description": 'The limit, "read";q=600;w=60 (an IETF draft).'},
    "RateLimit": {"schema": TEXT, "description": 'What is left of it, "read";r=599;t=31.'},
    "ETag": {"schema": TEXT, "description": "From what the answer follows from: If-None-Match costs no reading."},
    "X-Row-Count": {"schema": {"type": "integer"}, "description": "How many rows there are in this reply."},
}


def parameters() -> dict[str, Schema]:
    """All parameters by name: one name means the same in every endpoint."""
    return {name: _of_readers(one) for name, one in PARAMETERS.items()} | {name: _of_http(name) for name in OF_HTTP}


def _of_readers(one: Parameter) -> Schema:
    """A parameter of the readers; several values are given by repeating it."""
    schema = {**OF_TYPE[one.type], **({"enum": list(one.choices)} if one.choices else {})}
    if one.many:
        schema = {"type": "array", "items": schema}
    return _in_query(one.name, one.meaning, schema)


def _of_http(name: str) -> Schema:
    """A parameter that is the API's own."""
    meaning, schema = OF_HTTP[name]
    return _in_query(name, meaning, schema)


def _in_query(name: str, meaning: str, schema: Schema) -> Schema:
    return {"in": "query", "name": name, "description": f"{meaning[:1].upper()}{meaning[1:]}.", "schema": schema}


def ref(name: str, kind: str = "schemas") -> Schema:
    """A component by its name."""
    return {"$ref": f"#/components/{kind}/{name}"}


def envelope(data: Schema) -> Schema:
    """The document around data."""
    members = {"data": data, **{name.lower(): ref(name) for name in ENVELOPE}}
    return {"type": "object", "required": list(members), "properties": members}


def row(dataset: Dataset) -> Schema:
    """A row of a dataset: each field has one type, for ever. With `fields=` there are fewer of them."""
    properties = {one.name: field(one) for one in dataset.fields}
    return {"type": "object", "title": dataset.title, "description": dataset.meaning, "properties": properties}


def field(one: Field) -> Schema:
    """A field of a row, with its meaning."""
    schema = dict(_of(one.type))
    if one.null:
        schema["type"] = [schema["type"], "null"]
    told = [one.meaning, *([one.unit] if one.unit else []), *([f"null {one.null}"] if one.null else [])]
    return schema | {"description": "; ".join(told)}


def _of(kind: Any) -> Schema:
    match kind:
        case pl.Decimal():
            return {**TEXT, "pattern": DECIMAL}
        case pl.Date():
            return DAY
        case pl.Datetime():
            return INSTANT
        case pl.Boolean():
            return {"type": "boolean"}
        case pl.Float64():
            return {"type": "number"}
        case pl.List():
            return {"type": "array", "items": _of(kind.inner)}
        case pl.String():
            return TEXT
    return {"type": "integer"}


def whole(form: Form) -> Schema:
    """The content of a whole set."""
    return {"schema": {"type": "string", "format": "binary"} if form is PARQUET else TEXT}


def problems() -> dict[str, Schema]:
    """The errors by status, with their kinds."""
    by_status: dict[int, list[str]] = {}
    for kind in KINDS.values():
        by_status.setdefault(int(kind.status), []).append(f"{kind.slug} ({kind.title.lower()})")
    content = {MEDIA_TYPE: {"schema": ref("Problem")}}
    return {
        str(status): {"description": "; ".join(told), "content": content} for status, told in sorted(by_status.items())
    }
