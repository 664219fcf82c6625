"""Manifests: the records that a stage of a capture, or of a week, completed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from pipeline.admin.shared import figures
from pipeline.admin.shared.base import DayFilter, EvidenceAdmin, badge, link
from pipeline.admin.shared.market_links import week_link
from pipeline.models import Manifest, Stage
from pipeline.models.capture import DOMAIN

LOOKS = {Stage.RAW: "ARCHIVED", Stage.NORMALIZED: "INGESTED", Stage.CALC: "COMPUTED"}
CHECKSUM_IS = {
    Stage.RAW: "of the payload, as the capture has it",
    Stage.NORMALIZED: "of the content: the rows in one order and one form, as the capture has it",
    Stage.CALC: "of the names of the captures that went in, as the snapshot has it",
}


@admin.register(Manifest)
class ManifestAdmin(EvidenceAdmin[Manifest]):
    """How far each capture and each week has come, the newest first."""

    page_template = "pipeline/manifest.html"
    when_empty = "No stage has completed yet: the first capture that a run makes writes the first."
    list_display = (
        "stage_badge",
        "of",
        "rows_in_",
        "kept",
        "rejected",
        "total_shares",
        "took",
        "when",
        "by",
    )
    list_select_related = ("capture", "snapshot", "run")
    list_filter = ("stage", "capture__partition__tier", ("completed_at", DayFilter))
    search_fields = ("checksum__startswith",)
    search_help_text = "The start of a checksum"
    ordering = ("-pk",)

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    @admin.display(description="stage", ordering="stage")
    def stage_badge(self, manifest: Manifest) -> SafeString:
        return badge(LOOKS[Stage(manifest.stage)], manifest.stage)

    @admin.display(description="of")
    def of(self, manifest: Manifest) -> SafeString | str:
        return link(manifest.capture or manifest.snapshot, _name(manifest))

    @admin.display(description="rows in", ordering="rows_in")
    def rows_in_(self, manifest: Manifest) -> str:
        return figures.number(manifest.rows_in)

    @admin.display(description="kept", ordering="rows_kept")
    def kept(self, manifest: Manifest) -> str:
        return figures.number(manifest.rows_kept)

    @admin.display(description="rejected", ordering="rows_rejected")
    def rejected(self, manifest: Manifest) -> str:
        return figures.number(manifest.rows_rejected)

    @admin.display(description="shares")
    def total_shares(self, manifest: Manifest) -> str:
        """Whole shares: its page has the fractions."""
        return f"{manifest.shares:,.0f}"

    @admin.display(description="took", ordering="duration")
    def took(self, manifest: Manifest) -> str:
        return figures.seconds(manifest.duration)

    @admin.display(description="completed", ordering="completed_at")
    def when(self, manifest: Manifest) -> str:
        return f"{manifest.completed_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="run")
    def by(self, manifest: Manifest) -> SafeString | str:
        return link(manifest.run, f"run {manifest.run_id}")

    def page(self, request: HttpRequest, found: Manifest) -> dict[str, Any]:
        """The completed stage with its figures, and whether they add up and agree with its capture or snapshot."""
        return {
            "stage": self.stage_badge(found),
            "of": link(found.capture or found.snapshot),
            "week": week_link(found.snapshot.week_ending) if found.snapshot else link(_partition(found)),
            "run": link(found.run, f"run {found.run_id}"),
            "took": figures.seconds(found.duration),
            "figures": _figures(found),
            "checksum_is": CHECKSUM_IS[Stage(found.stage)],
            "agreement": _agreement(found),
        }


def _name(manifest: Manifest) -> str:
    """The capture without its domain, which all have; the snapshot."""
    return str(manifest.capture or manifest.snapshot).removeprefix(f"{DOMAIN}:")


def _partition(manifest: Manifest) -> Any:
    return manifest.capture.partition if manifest.capture else None


def _figures(manifest: Manifest) -> list[tuple[str, str]]:
    totals = [] if manifest.control_symbols is None else _control_totals(manifest)
    return [
        ("Rows in", figures.number(manifest.rows_in)),
        ("Rows kept", figures.number(manifest.rows_kept)),
        ("Rows rejected", figures.number(manifest.rows_rejected)),
        ("Shares", figures.number(manifest.shares)),
        ("Trades", figures.number(manifest.trades)),
        *totals,
    ]


def _control_totals(manifest: Manifest) -> list[tuple[str, str]]:
    """The source's own totals."""
    return [
        ("FINRA's totals, by symbol", figures.number(manifest.control_symbols)),
        ("Their shares", figures.number(manifest.control_shares)),
        ("Their trades", figures.number(manifest.control_trades)),
        ("Symbols that differ", figures.number(manifest.control_differing)),
    ]


def _agreement(manifest: Manifest) -> SafeString:
    """Whether the checksum is that of the capture or the snapshot."""
    expected = _expected(manifest)
    if manifest.checksum == expected:
        return badge("GOOD", "agrees")
    return format_html("{} {}", badge("DAMAGED", "differs"), expected)


def _expected(manifest: Manifest) -> str:
    if manifest.snapshot:
        return manifest.snapshot.inputs_hash
    capture = manifest.capture
    if capture is None:
        return ""
    return capture.payload_sha256 if manifest.stage == Stage.RAW else capture.content_hash
