"""The OpenAPI document: valid, committed as it is served, never less than what was released, and true of every reply."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.conf import settings as configured
from django.core.wsgi import get_wsgi_application
from openapi_spec_validator import validate
from pytest_django import Settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from pipeline.api.about import openapi
from pipeline.api.datasets import SOURCES
from pipeline.readers import DATASETS
from tests.api.asking import Script, member, restated_week, token_of, viewer
from tests.faults.extent import EVERYTHING
from tests.support.engines import Begin

DOCUMENT = Path(configured.BASE_DIR) / "docs" / "openapi.json"
RELEASED = Path(__file__).parent / "released.json"
EXAMPLES, EACH = (100, 1) if EVERYTHING else (2, 8)  # so many examples of each such operation
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


def plain(document: Any) -> Any:
    """As it is read from JSON."""
    return json.loads(json.dumps(document))


def test_the_document_is_valid_and_names_every_endpoint() -> None:
    document = plain(openapi())
    validate(document)
    assert document["openapi"] == "3.1.0"
    paths = {f"/api/v1/{source.path}" for source in SOURCES}
    assert paths | {"/api/v1/", "/api/v1/captures/{capture}", "/api/v1/dictionary"} <= set(document["paths"])
    page = (DOCUMENT.parent / "api.md").read_text(encoding="utf-8")
    assert [path for path in document["paths"] if f"| `{path.removeprefix('/api/v1')}`" not in page] == []
    shares = document["components"]["schemas"]["rows"]["properties"]["shares"]
    assert (shares["type"], shares["pattern"]) == ("string", r"^-?[0-9]+\.[0-9]{6}$")
    notional = document["components"]["schemas"]["rows"]["properties"]["notional"]
    assert notional["type"] == ["string", "null"]


def test_the_committed_document_is_the_one_that_is_served() -> None:
    told = "manage.py spectacular --format openapi-json --file docs/openapi.json"
    assert json.loads(DOCUMENT.read_text(encoding="utf-8")) == plain(openapi()), f"it has changed: {told}"


def test_complaint_23_nothing_that_was_released_is_gone() -> None:
    released = json.loads(RELEASED.read_text(encoding="utf-8"))
    document = plain(openapi())
    if document["info"]["version"].split(".")[0] == released["version"].split(".")[0]:
        gone = sorted(set(released["promises"]) - set(promises(document)))
        assert gone == [], "what was released stays within a major version: /api/v2 is for what breaks"


def promises(document: Any) -> Iterator[str]:
    """What a client may rely on: each endpoint, parameter with its type and values, form, field with its type."""
    for path, operations in document["paths"].items():
        operation = operations["get"]
        yield path
        yield from (f"{path} as {media}" for media in operation["responses"]["200"]["content"])
        for told in operation["parameters"]:
            one = document["components"]["parameters"].get(told.get("$ref", "").rpartition("/")[2], told)
            yield from (f"{path}?{one['name']} {kind}" for kind in _types(one["schema"]))
    for name, schema in document["components"]["schemas"].items():
        for field, one in schema.get("properties", {}).items():
            yield f"{name}.{field} {one.get('type')} {one.get('format', '')}{one.get('pattern', '')}".strip()


def _types(schema: Any) -> Iterator[str]:
    one = schema.get("items", schema)
    yield f"{schema['type']} of {one['type']}" if "items" in schema else str(schema["type"])
    yield from (f"= {value}" for value in one.get("enum", ()))


def test_the_dictionary_is_that_of_the_readers(begin: Begin) -> None:
    begin(restated_week)
    found = viewer().json("dictionary")["data"]
    assert {one["name"]: [field["name"] for field in one["fields"]] for one in found} == {
        name: list(dataset.names) for name, dataset in DATASETS.items()
    }
    shares = next(field for field in found[0]["fields"] if field["name"] == "shares")
    assert (shares["type"], shares["unit"], shares["null"]) == ("Decimal(precision=18, scale=6)", "shares", "")


@pytest.mark.usefixtures("few_rows")
def test_complaint_29_no_question_is_an_error_of_ours_and_every_error_a_problem(
    begin: Begin, settings: Settings
) -> None:
    begin(restated_week)
    settings.MARKETSPINE_API_READS_PER_MINUTE = settings.MARKETSPINE_API_EXPORTS_PER_HOUR = 10**9
    settings.ALLOWED_HOSTS = ["localhost"]
    headers = Script(token_of(member())).headers
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application(), headers=headers)
    asked = 0
    operations: Iterator[Any] = document.get_all_operations()
    for found in list(operations)[::EACH]:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            asked += ask_all(found.ok(), mode, headers)
    assert asked > len(SOURCES) / EACH


def ask_all(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> int:
    """Ask what an operation may be asked, or what it may not; how many questions that were."""
    asked = []

    @hypothesis.settings(max_examples=EXAMPLES, database=None, phases=[hypothesis.Phase.generate])
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        asked.append(case.call_and_validate(headers=headers, checks=CHECKS))

    with suppress(hypothesis.errors.Unsatisfiable):  # without parameters there is nothing that it may not be asked
        ask()
    for response in asked:
        if response.status_code >= 400:
            assert response.headers["content-type"] == ["application/problem+json"]
    return len(asked)
