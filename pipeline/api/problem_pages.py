"""The pages of the kinds of problems, open to everybody; and Django's own errors, as problem documents below the API."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views import defaults
from django.views.decorators.http import require_safe

from pipeline.api.problem_kinds import KINDS
from pipeline.api.problems import Problem, as_response

API = "/api/"


@require_safe
def problem_pages(request: HttpRequest) -> HttpResponse:
    """The list of all kinds."""
    return render(request, "pipeline/problems.html", {"kinds": KINDS.values()})


@require_safe
def problem_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The meaning of a kind, and the remedy."""
    if slug not in KINDS:
        raise Http404
    return render(request, "pipeline/problem.html", {"kind": KINDS[slug]})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: the request was refused before a view saw it."""
    if request.path.startswith(API):
        return as_response(Problem("bad-request", "The request cannot be read."), request)
    return defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: the user may not do that."""
    if request.path.startswith(API):
        return as_response(Problem("forbidden", "The user may not read this."), request)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: there is nothing at the address."""
    if request.path.startswith(API):
        return as_response(Problem("not-found", "There is nothing at this address."), request)
    return defaults.page_not_found(request, exception)


def internal_error(request: HttpRequest) -> HttpResponse:
    """500: a fault of ours, which Django has logged."""
    if request.path.startswith(API):
        return as_response(Problem("internal-error", "Something failed that should not have."), request)
    return defaults.server_error(request)
