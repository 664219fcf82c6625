"""The base of all endpoints: authentication, permissions, limits, and errors as problem documents."""

from __future__ import annotations

from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags, quote_etag
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from pipeline.api import jsons, throttling
from pipeline.api.forms import whole_set_is_asked
from pipeline.api.throttling import Standing

UNCHANGED_FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
VARY = ("Accept", "Authorization", "Cookie")


class Endpoint(APIView):
    """An endpoint of the API. Whole sets count as exports, other requests as reads."""

    http_method_names = ["get", "head"]
    gives_whole_sets = False
    scope = throttling.READ
    standing: Standing | None = None

    @property
    def needed(self) -> str:
        """The permission that a user needs."""
        return "pipeline.view_capture"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Choose the limit that counts the request, then do DRF's work."""
        if self.gives_whole_sets and whole_set_is_asked(request._request):
            self.scope = throttling.EXPORT
        super().initial(request, *args, **kwargs)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Choose no form yet: it is chosen when the request is read, after authentication."""
        return None, None

    def finalize_response(self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any) -> Any:
        """Add the headers of every reply."""
        assert not isinstance(response, Response), "answers are rendered by the endpoint"
        if self.standing is not None:
            for name, value in throttling.headers(self.standing):
                response[name] = value
        response["X-Content-Type-Options"] = "nosniff"
        patch_vary_headers(response, VARY)
        return response


def is_held(request: HttpRequest, etag: str) -> bool:
    """Whether the client has this answer already."""
    held = [one.removeprefix("W/") for one in parse_etags(request.headers.get("If-None-Match", ""))]
    return "*" in held or quote_etag(etag) in held


def not_modified(etag: str, cache: str) -> HttpResponse:
    """The reply 304: the client has the answer already."""
    return marked(HttpResponseNotModified(), etag, cache)


def document(content: object, etag: str, cache: str) -> HttpResponse:
    """A JSON document."""
    return marked(HttpResponse(jsons.dumps(content), content_type="application/json"), etag, cache)


R = TypeVar("R", bound=HttpResponseBase)


def marked(response: R, etag: str, cache: str) -> R:
    """The reply with its headers for caches."""
    response["ETag"], response["Cache-Control"] = quote_etag(etag), cache
    return response
