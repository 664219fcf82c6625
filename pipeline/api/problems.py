"""Errors as problem documents (RFC 9457): each kind has an address, which is a page, and facts for a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import http_date
from rest_framework import exceptions

from pipeline.api import jsons
from pipeline.api.problem_kinds import KINDS, ProblemKind
from pipeline.finra.calendar import MARKET_ZONE
from pipeline.finra.plain_text import as_sentence
from pipeline.readers import Facts, ReadersError
from pipeline.readers.errors import ErrorKind

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a request: where (`in`), the name, the reason, the allowed values."""

    name: str
    detail: str = ""
    where: str = "query"
    allowed: Sequence[str] = ()
    did_you_mean: str | None = None

    def members(self) -> dict[str, object]:
        """As a member of `errors`."""
        told: dict[str, object] = {"in": self.where, "name": self.name}
        if self.detail:
            told["detail"] = self.detail
        if self.allowed:
            told["allowed"] = list(self.allowed)
        return told | ({"did_you_mean": self.did_you_mean} if self.did_you_mean else {})


@dataclass(frozen=True)
class Problem(Exception):
    """Raised anywhere below a view, and answered with the problem document of its kind."""

    slug: str
    detail: str
    faults: Sequence[Fault] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> ProblemKind:
        """The kind of problem."""
        return KINDS[self.slug]

    def document(self, instance: str) -> dict[str, object]:
        """The members of RFC 9457; `errors` and the facts beside them."""
        kind = self.kind
        told: dict[str, object] = {"type": kind.address, "title": kind.title, "status": int(kind.status)}
        told |= {"detail": self.detail, "instance": instance}
        if self.faults:
            told["errors"] = [fault.members() for fault in self.faults]
        return told | dict(self.facts)


def as_response(problem: Problem, request: HttpRequest) -> HttpResponse:
    """The reply, which no cache keeps: the request may be right in a moment."""
    document = problem.document(request.path)
    response = HttpResponse(jsons.dumps(document), content_type=MEDIA_TYPE, status=problem.kind.status)
    response["Cache-Control"] = "no-store"
    for name, value in problem.headers.items():
        response[name] = value
    return response


def answer_of(error: Exception, context: Mapping[str, Any]) -> HttpResponseBase | None:
    """DRF's handler of exceptions: the problem document; None for a fault of ours, which is logged."""
    problem = problem_of(error)
    return None if problem is None else as_response(problem, context["request"])


def problem_of(error: Exception) -> Problem | None:
    """The problem for an exception of DRF's or of Django's; None for any other."""
    match error:
        case Problem():
            return error
        case ReadersError():
            return _of_readers(error)
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            headers = {"WWW-Authenticate": 'Bearer realm="Market Spine"'}
            return Problem("unauthorized", str(error.detail), headers=headers)
        case exceptions.PermissionDenied() | PermissionDenied():
            return Problem("forbidden", "The user may not read this.")
        case exceptions.MethodNotAllowed():
            return Problem("method-not-allowed", str(error.detail), headers={"Allow": "GET, HEAD"})
        case exceptions.Throttled():
            return Problem("rate-limited", str(error.detail))
        case exceptions.NotFound() | Http404():
            return Problem("not-found", "There is no such endpoint: /api/v1/ lists those there are.")
        case exceptions.ParseError() | BadRequest():
            return Problem("bad-request", str(error))
        case _:
            return None


def _of_readers(error: ReadersError) -> Problem:
    """The problem for a ReadersError, with its facts."""
    facts = error.facts
    faults = (
        [Fault(error.parameter, error.detail, "query", facts.allowed, facts.did_you_mean)] if error.parameter else []
    )
    headers = (
        {"Retry-After": _beginning_of(facts.due_date)} if error.kind is ErrorKind.NOT_YET_DUE and facts.due_date else {}
    )
    return Problem(error.kind.value, as_sentence(error.detail), faults, dict(_told(facts)), headers)


def _told(facts: Facts) -> Iterator[tuple[str, object]]:
    """The facts that apply, less those that belong to the parameter at fault."""
    for name in ("nearest_fridays", "due_date", "first_known_at", "capture_ids"):
        if value := getattr(facts, name):
            yield name, value


def _beginning_of(day: date) -> str:
    """The midnight in New York with which a day begins, as HTTP writes instants."""
    return http_date(datetime.combine(day, time(), MARKET_ZONE).timestamp())
