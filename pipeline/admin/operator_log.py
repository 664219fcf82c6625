"""The operator log: who did what, when, on what, why, and what came of it."""

from __future__ import annotations

from django.contrib import admin

from pipeline.admin.base import EvidenceAdmin
from pipeline.models import OperatorLogEntry


@admin.register(OperatorLogEntry)
class OperatorLogAdmin(EvidenceAdmin[OperatorLogEntry]):
    """The operator log: who did what, when, on what, why, and what came of it."""

    page_template = "pipeline/page.html"
