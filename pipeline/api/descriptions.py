"""Descriptions of endpoints for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.api import schemas
from pipeline.api.datasets import ROOT, Source
from pipeline.api.forms import FORMS, JSON, Form
from pipeline.api.schemas import Schema
from pipeline.readers import DATASETS

JSON_TYPE = JSON.media_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """An operation: its name, in words, its parameters, the content of its answer by media type, named schemas."""

    name: str
    summary: str
    description: str = ""
    parameters: list[Schema] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)
    components: dict[str, Schema] = field(default_factory=dict)


def of_dataset(source: Source, of_http: Iterable[str]) -> Description:
    """An endpoint that answers with rows of a dataset."""
    dataset = DATASETS[source.name]
    named = schemas.ref(dataset.name)
    content = {JSON_TYPE: {"schema": schemas.envelope({"type": "array", "items": named})}}
    content |= {form.media_type: schemas.whole(form) for form in FORMS.values() if form is not JSON}
    return Description(
        name=source.name,
        summary=dataset.title,
        description=f"{dataset.meaning}.\n\n{source.title}\n\nExample: `{ROOT}{source.path}?{source.example}`",
        parameters=[schemas.ref(name, "parameters") for name in (*source.parameters, *of_http)],
        content=content,
        components={dataset.name: schemas.row(dataset)},
    )


def of_capture(forms: Iterable[Form]) -> Description:
    """One capture."""
    dataset = DATASETS["captures"]
    path = {"in": "path", "name": "capture", "required": True, "schema": schemas.TEXT, "description": "A capture_id."}
    array = {"type": "array", "items": schemas.ref(dataset.name)}
    choice: Schema = {"type": "string", "enum": [form.name for form in forms]}
    told = {"in": "query", "name": "format", "schema": choice, "description": "Parquet is the capture's file as it is."}
    return Description(
        name="capture",
        summary="One capture, or its file",
        description="The capture's line in the list of captures; as Parquet the file that holds its rows, byte for byte.",
        parameters=[path, told, schemas.ref("fields", "parameters")],
        content={
            JSON_TYPE: {"schema": schemas.envelope(array)},
            FORMS["parquet"].media_type: schemas.whole(FORMS["parquet"]),
        },
        components={dataset.name: schemas.row(dataset)},
    )


def of_file(types: Iterable[str]) -> Description:
    """A file of a release."""
    named = [("release", "The name of a release."), ("path", "The path of one of its files, as its descriptor has it.")]
    path = [
        {"in": "path", "name": name, "required": True, "schema": schemas.TEXT, "description": said}
        for name, said in named
    ]
    content = {one.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}} for one in types}
    content[JSON_TYPE] = {"schema": {"type": "object"}}
    return Description(name="release_file", summary="A file of a release", parameters=path, content=content)


def of_document(name: str, summary: str, data: Schema) -> Description:
    """An endpoint that answers with a document of its own, and takes no parameters."""
    return Description(name=name, summary=summary, content={JSON_TYPE: {"schema": schemas.envelope(data)}})
