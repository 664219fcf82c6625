"""Manifests: that a stage of a capture, or of a week, completed."""

from __future__ import annotations

from django.contrib import admin

from pipeline.admin.base import EvidenceAdmin
from pipeline.models import Manifest


@admin.register(Manifest)
class ManifestAdmin(EvidenceAdmin[Manifest]):
    """Manifests: that a stage of a capture, or of a week, completed."""

    page_template = "pipeline/page.html"
