"""A week as pages name it: with the way to its verdicts."""

from __future__ import annotations

from datetime import date

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from pipeline.admin.shared import figures


def of_week(week_ending: date | None, text: str = "") -> SafeString | str:
    """A link from a week to its readiness for all uses; a dash for none."""
    if week_ending is None:
        return figures.NONE
    week = week_ending.isoformat()
    url = reverse("admin:pipeline_readiness_changelist")
    query = f"week_ending_from={week}&week_ending_to={week}"
    return format_html('<a class="ms-link" href="{}?{}">{}</a>', url, query, text or week)
