"""The app's configuration."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class PipelineConfig(AppConfig):
    """The pipeline app: ledger, vintages, analytics."""

    name = "pipeline"
    verbose_name = "Market Spine"

    def ready(self) -> None:
        """Register the system checks."""
        import_module("pipeline.checks")
