"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class PipelineConfig(AppConfig):
    """The pipeline app: ledger, vintages, analytics."""

    name = "pipeline"
    verbose_name = "Market Spine"
