"""Settings of the API's packages: DRF, its OpenAPI document, its tokens. docs/api.md says how the API behaves."""

from __future__ import annotations

from typing import Any

TOKEN_PREFIX = "ms_"  # noqa: S105 # by which a token that has leaked is found

FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "pipeline.api.authentication.BearerToken",
        "pipeline.api.authentication.Session",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["pipeline.api.authentication.MayRead"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_THROTTLE_CLASSES": ["pipeline.api.throttling.Limit"],
    "DEFAULT_SCHEMA_CLASS": "pipeline.api.openapi.EndpointSchema",
    "EXCEPTION_HANDLER": "pipeline.api.problems.answer_of",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}

KNOX: dict[str, Any] = {
    "TOKEN_PREFIX": TOKEN_PREFIX,
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_TTL": None,  # each token says when it expires
}

SPECTACULAR: dict[str, Any] = {
    "TITLE": "Market Spine",
    "VERSION": "1.0.0",
    "DESCRIPTION": (
        "FINRA's weekly OTC transparency data, every vintage of it: what is known now, what was known at any instant, what "
        "changed between, and whether a week may be used. Everything is read: nothing is changed by this API."
    ),
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token, made in the admin under API tokens.",
            },
            "session": {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "Who has signed in."},
        }
    },
    "POSTPROCESSING_HOOKS": ["pipeline.api.openapi.with_what_is_shared"],
    "SORT_OPERATIONS": False,
    "SORT_OPERATION_PARAMETERS": False,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
}
