"""The OpenAPI document: drf-spectacular finds the endpoints, and the readers' own tables describe them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from pipeline.api import schemas
from pipeline.api.schemas import Schema


class EndpointSchema(AutoSchema):
    """An operation, from the view's own `described`."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> dict[str, Any] | None:
        """The operation; the components that it refers to are registered."""
        view: Any = self.view
        said = view.described()
        for name, schema in (schemas.SHARED | said.components).items():
            register(registry, name, schema)
        headers = {name: schemas.ref(name, "headers") for name in schemas.HEADERS}
        return {
            "operationId": said.name,
            "summary": said.summary,
            "description": said.description,
            "tags": [said.name.partition("_")[0]],
            "parameters": said.parameters,
            "security": [{"token": []}, {"session": []}],
            "responses": {
                "200": {"description": said.summary, "headers": headers, "content": said.content},
                "304": {"description": "The client has this answer already."},
                **{status: schemas.ref(status, "responses") for status in schemas.problems()},
            },
        }


def register(registry: ComponentRegistry, name: str, schema: Schema) -> None:
    """Add a schema to the components."""
    kind = ResolvedComponent.SCHEMA
    component = ResolvedComponent(name=name, type=kind, schema=schema, object=name)  # type: ignore[no-untyped-call]
    registry.register_on_missing(component)


def with_what_is_shared(result: Schema, **_generated: Any) -> Schema:
    """Add the shared parameters and headers to the components: drf-spectacular registers schemas only."""
    shared = {"responses": schemas.problems(), "headers": schemas.HEADERS, "parameters": schemas.parameters()}
    result["components"] |= shared
    return result
