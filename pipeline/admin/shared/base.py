"""The base of the admin's pages: evidence is read-only, and each object has a page in place of a form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin as UnfoldAdmin
from unfold.contrib.filters.admin import RangeDateFilter

from pipeline.admin.shared.offered import Offering
from pipeline.finra.calendar import read_day

M = TypeVar("M", bound=models.Model)

if TYPE_CHECKING:  # the skin has no types: the type checker sees Django's admin
    from django.contrib.admin import ModelAdmin as SkinnedAdmin
else:

    class SkinnedAdmin(UnfoldAdmin, Generic[M]):
        """The skin's admin, generic in its model for the type checker."""


# The tone (a colour) and the icon of each word of the ledger: the icon says the same without colour.
LOOKS = {
    "READY": ("good", "check_circle"),
    "SUCCEEDED": ("good", "check_circle"),
    "INGESTED": ("good", "download_done"),
    "COMPUTED": ("good", "check_circle"),
    "GOOD": ("good", "check_circle"),
    "DONE": ("good", "check_circle"),
    "STARTED": ("busy", "play_circle"),
    "RESTATED": ("news", "published_with_changes"),
    "FORCED": ("soft", "front_hand"),
    "UNCHANGED": ("same", "drag_handle"),
    "NOT_OFFERED": ("soft", "cloud_off"),
    "SKIPPED": ("calm", "redo"),
    "SKIP": ("calm", "redo"),
    "INGEST": ("busy", "download"),
    "PROBE": ("busy", "search"),
    "ARCHIVE": ("busy", "archive"),
    "NORMALIZE": ("busy", "restart_alt"),
    "NONE": ("calm", "calculate"),
    "PROVISIONAL": ("soft", "hourglass_top"),
    "AWAITING_PUBLICATION": ("calm", "event_upcoming"),
    "NOT_YET_DUE": ("calm", "event_upcoming"),
    "ARCHIVED": ("soft", "archive"),
    "PENDING": ("calm", "more_horiz"),
    "RUNNING": ("busy", "sync"),
    "CANCELLED": ("calm", "cancel"),
    "INTERRUPTED": ("soft", "pause_circle"),
    "MISSING": ("bad", "help"),
    "LATE": ("bad", "alarm"),
    "FAILED": ("bad", "error"),
    "REFUSED": ("bad", "block"),
    "BLOCKED": ("bad", "block"),
    "DAMAGED": ("bad", "broken_image"),
    "INFO": ("calm", "info"),
    "WARN": ("soft", "warning"),
    "ERROR": ("bad", "error"),
    "CRITICAL": ("worst", "emergency_home"),
}
UNKNOWN = ("calm", "circle")


def badge(word: str, text: str = "") -> SafeString:
    """A state as a coloured label with an icon: readable without colour."""
    tone, icon = LOOKS.get(word, UNKNOWN)
    return format_html(
        '<span class="ms-badge ms-{}"><span class="material-symbols-outlined" aria-hidden="true">{}</span>{}</span>',
        tone,
        icon,
        text or word.replace("_", " ").lower(),
    )


def page_url(of: models.Model) -> str:
    """The admin's page of an object."""
    return reverse(f"admin:{of._meta.app_label}_{of._meta.model_name}_change", args=[of.pk])


def link(to: models.Model | None, text: str = "") -> SafeString | str:
    """A link to an object's page; a dash for none."""
    return format_html('<a class="ms-link" href="{}">{}</a>', page_url(to), text or str(to)) if to else "-"


def user_of(request: HttpRequest) -> User:
    """The user who has signed in."""
    assert isinstance(request.user, User), "the admin asks who it is before anything else"
    return request.user


class DayFilter(RangeDateFilter):  # type: ignore[misc] # the skin has no types
    """Filters an instant by a range of days (UTC), the last day included."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[M]) -> QuerySet[M]:
        first, last = self._day("from"), self._day("to")
        bounds = {
            **({f"{self.parameter_name}__gte": first} if first else {}),
            **({f"{self.parameter_name}__lt": last + timedelta(days=1)} if last else {}),
        }
        return queryset.filter(**bounds)

    def _day(self, side: str) -> datetime | None:
        """The midnight with which a day begins; None for a text that is no day."""
        day = read_day(str(self.used_parameters.get(f"{self.parameter_name}_{side}")))
        return datetime.combine(day, time.min, UTC) if day else None


class Framed(Offering, SkinnedAdmin[M]):
    """An admin with pages of its own: the object of an address, and the context of every page."""

    def find(self, request: HttpRequest, object_id: str) -> M:
        """The object of an address; Http404 without one, PermissionDenied for a user who may not view it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = self.get_object(request, unquote(object_id))
        if found is None:
            raise Http404(f"there is no {self.opts.verbose_name} {object_id}")
        return found

    def frame(self, request: HttpRequest, title: str) -> dict[str, Any]:
        """The context of every page: site, model and title."""
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "preserved_filters": self.get_preserved_filters(request),
            "title": title,
        }


class EvidenceAdmin(Framed[M]):
    """Read-only evidence. Each object has a page: `page_template`."""

    page_template = ""
    show_full_result_count = False
    list_per_page = 30
    list_filter_sheet = False
    list_filter_submit = True
    actions_selection_counter = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        """The object's page."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        found = self.find(request, object_id)
        context = {**self.frame(request, str(found)), "object": found, **self.page(request, found)}
        return TemplateResponse(request, self.page_template, context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, str] | None = None) -> HttpResponse:
        """The list; an id in the address that no database can hold is refused like any other senseless filter."""
        try:
            response: HttpResponse = super().changelist_view(request, extra_context)
            return response.render() if isinstance(response, TemplateResponse) else response
        except OverflowError:
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        """Evidence has no history of edits."""
        raise Http404("evidence is not edited: the operator log says what was done")

    def page(self, request: HttpRequest, found: M) -> dict[str, Any]:
        """The template's context for the page of an object, beside the object itself."""
        return {}
