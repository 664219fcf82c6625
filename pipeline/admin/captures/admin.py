"""Captures: a vintage's figures, rejects, differences and movements; pinning and annulling."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RangeDateFilter

from pipeline import operations
from pipeline.admin.captures import difference_page, download, movement_page
from pipeline.admin.captures import page as capture_page
from pipeline.admin.shared import downloads, figures
from pipeline.admin.shared.acting import ActingAdmin, ObjectAction, one
from pipeline.admin.shared.base import badge
from pipeline.admin.shared.lines import kind_badge
from pipeline.admin.shared.market_links import week_link
from pipeline.finra.calendar import read_day
from pipeline.finra.plain_text import as_sentence, capitalized
from pipeline.models import Act, Capture
from pipeline.models.capture import DOMAIN
from pipeline.readers import ErrorKind, ReadersError
from pipeline.review import verification
from pipeline.vintages.archive import ArchiveDamaged

SHORTEST_HASH = 6
NOT_THERE = (ErrorKind.NOT_CAPTURED, ErrorKind.VINTAGE_PRUNED)


def can_be_annulled(capture: Capture) -> bool:
    """Whether it has rows, is not annulled, and is no annulment itself."""
    return capture.normalized_at is not None and capture.annuls_id is None and capture.annulment is None


OBJECT_ACTIONS: tuple[ObjectAction[Capture], ...] = (
    ObjectAction(
        Act.PIN,
        one(operations.pin),
        "keep",
        needs_reason=True,
        fits=lambda capture: not capture.pinned,
        explained="Pruning leaves a pinned capture, whatever its age. Your note is kept with it.",
        in_list=False,
    ),
    ObjectAction(
        Act.UNPIN,
        one(operations.unpin),
        "keep_off",
        needs_reason=True,
        fits=lambda capture: capture.pinned,
        explained="A plan may prune it again, when it is old enough.",
        in_list=False,
    ),
    ObjectAction(
        Act.ANNUL,
        one(operations.annul),
        "undo",
        needs_reason=True,
        fits=can_be_annulled,
        explained=(
            "Take it back: it stays, and a capture with the rows of the one before it follows and is the latest. The same "
            "rows are refused from then on, unless forced. Your note is kept with it."
        ),
        in_list=False,
    ),
)


@admin.register(Capture)
class CaptureAdmin(ActingAdmin[Capture]):
    """The vintages of all partitions, newest first."""

    page_template = "pipeline/capture.html"
    list_display = ("name", "week", "version", "kept", "why", "captured", "rows", "restated")
    list_select_related = ("partition", "partition__latest")
    list_filter = (
        "partition__tier",
        "kind",
        "pinned",
        ("partition__week_ending", RangeDateFilter),
        ("captured_on", RangeDateFilter),
    )
    search_fields = ("capture_id",)  # shows the field; `get_search_results` searches
    search_help_text = "A capture_id from its start, or from the tier on (OTC:2025-11-14); a week; the start of a hash"
    ordering = ("-pk",)
    object_actions = OBJECT_ACTIONS
    linked = ("partition__exact",)

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/capture.css",)}

    def get_urls(self) -> list[URLPattern]:
        """The addresses of its further pages and downloads."""
        pages: dict[str, downloads.View] = {
            "difference": self.difference_view,
            "movement": self.movement_view,
            "rejects": self.rejects_view,
            "payload": self.payload_view,
        }
        files = {f"difference.{form}": partial(self.difference_download, form=form) for form in downloads.FORMATS}
        return [*downloads.addresses(self, pages, files), *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Capture], search_term: str
    ) -> tuple[QuerySet[Capture], bool]:
        """Search by the beginning of an id or a hash, which an index can find."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(capture_id__startswith=term) | Q(capture_id__startswith=f"{DOMAIN}:{term}")
        if len(term) >= SHORTEST_HASH:
            wanted |= Q(payload_sha256__startswith=term.lower()) | Q(content_hash__startswith=term.lower())
        if read_day(term):
            wanted |= Q(partition__week_ending=term)
        return queryset.filter(wanted), False

    @admin.display(description="capture", ordering="pk")
    def name(self, capture: Capture) -> SafeString:
        return format_html('<span class="ms-mono">{}</span>', capture.capture_id.removeprefix(f"{DOMAIN}:"))

    @admin.display(description="week ending", ordering="partition__week_ending")
    def week(self, capture: Capture) -> SafeString | str:
        return week_link(capture.partition.week_ending)

    @admin.display(description="why", ordering="kind")
    def why(self, capture: Capture) -> str:
        return kind_badge(capture)

    @admin.display(description="captured", ordering="captured_at")
    def captured(self, capture: Capture) -> str:
        return f"{capture.captured_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="rows", ordering="rows_kept")
    def rows(self, capture: Capture) -> str:
        return figures.number(capture.rows_kept)

    @admin.display(description="+ / changed / -")
    def restated(self, capture: Capture) -> str:
        return figures.restated(capture)

    @admin.display(description="state")
    def kept(self, capture: Capture) -> SafeString:
        """Whether it is the newest, and whether its rows are stored."""
        return format_html("{} {}", _standing(capture), badge("INFO", "pinned") if capture.pinned else "")

    def page(self, request: HttpRequest, found: Capture) -> dict[str, Any]:
        """Its first page; with `?verify`, also the checks that read the archive and the rows."""
        checks = verification.verify(found) if "verify" in request.GET else None
        return {**self._heads(request, found, "change"), **capture_page.overview(found), "checks": checks}

    def difference_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The rows in which it differs from another capture of its partition."""
        found = self.find(request, object_id)
        contents = difference_page.contents(found, request.GET.dict())
        return self._page(request, found, "difference", contents)

    def difference_download(self, request: HttpRequest, object_id: str, form: str) -> HttpResponseBase:
        """All these rows, as CSV or Parquet."""
        found = self.find(request, object_id)
        before = difference_page.other_capture(found, request.GET.dict())
        if before is None:
            raise Http404(f"{found} is the only capture of its partition")
        try:
            return difference_page.as_download(found, before, form)
        except (ReadersError, OSError) as why:
            if isinstance(why, ReadersError) and why.kind in NOT_THERE:
                raise Http404(why.detail) from why
            response = self._page(request, found, "difference", difference_page.contents(found, request.GET.dict()))
            response.status_code = downloads.CANNOT_BE_SERVED
            return response

    def movement_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Venue shares and market concentration before it and with it."""
        found = self.find(request, object_id)
        return self._page(request, found, "movement", movement_page.contents(found))

    def rejects_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The lines that were not stored."""
        found = self.find(request, object_id)
        page = capture_page.rejects(found, request.GET.get("page"))
        return self._page(request, found, "rejects", {"page": page, "total": figures.number(page.paginator.count)})

    def payload_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The bytes as fetched, or the page with the archive's error."""
        found = self.find(request, object_id)
        try:
            return download.as_download(found)
        except ArchiveDamaged as damage:
            response = self._page(request, found, "payload", {"damage": as_sentence(capitalized(str(damage)))})
            response.status_code = downloads.CANNOT_BE_SERVED
            return response

    def _page(self, request: HttpRequest, found: Capture, name: str, contents: dict[str, Any]) -> TemplateResponse:
        context = {
            **self.frame(request, str(found)),
            "object": found,
            **self._heads(request, found, name),
            **contents,
        }
        return TemplateResponse(request, f"pipeline/capture_{name}.html", context)

    def _heads(self, request: HttpRequest, found: Capture, here: str) -> dict[str, Any]:
        """Buttons, badges and tabs, which all its pages have."""
        standing = {"standing": _standing(found), "kind_badge": kind_badge(found)}
        return {**self.frame_of(request, found), **standing, "tabs": capture_page.tabs(found, here)}


def _standing(capture: Capture) -> SafeString:
    """Its place among the captures: the newest, an earlier vintage, archived only, or given up."""
    if capture.pruned_at is not None:
        marked = capture.prune_entries.in_window().exists()
        return badge("WARN", "marked for removal") if marked else badge("CANCELLED", "rows removed")
    if capture.normalized_at is None:
        return badge("ARCHIVED", "rows not stored")
    return badge("GOOD", "latest") if capture.partition.latest_id == capture.pk else badge("UNCHANGED", "superseded")
