"""Captures: the figures of a vintage, its rejects, what it changed and moved; pinning it."""

from __future__ import annotations

from django.contrib import admin

from pipeline import operations
from pipeline.admin.acting import ActingAdmin, Doing, one
from pipeline.models import Act, Capture

DOINGS: tuple[Doing[Capture], ...] = (
    Doing(
        Act.PIN,
        one(operations.pin),
        "keep",
        needs_reason=True,
        fits=lambda capture: not capture.pinned,
        explained="Pruning leaves a pinned capture, whatever its age. Your note is kept with it.",
        in_list=False,
    ),
    Doing(
        Act.UNPIN,
        one(operations.unpin),
        "keep_off",
        needs_reason=True,
        fits=lambda capture: capture.pinned,
        explained="It may be pruned again, when retention is switched on.",
        in_list=False,
    ),
)


@admin.register(Capture)
class CaptureAdmin(ActingAdmin[Capture]):
    """Captures: the figures of a vintage, its rejects, what it changed and moved; pinning it."""

    page_template = "pipeline/page.html"
    doings = DOINGS
