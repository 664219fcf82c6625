"""The app's configuration."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.conf import settings

from marketspine import cores

NAMED = {
    "auth.Group": ("role", "roles"),
    "django_celery_beat.PeriodicTask": ("schedule", "schedules"),
    "django_celery_beat.CrontabSchedule": ("crontab", "crontabs"),
    "django_celery_beat.IntervalSchedule": ("interval", "intervals"),
    "django_celery_beat.ClockedSchedule": ("single time", "single times"),
    "django_celery_beat.SolarSchedule": ("time by the sun", "times by the sun"),
}


class PipelineConfig(AppConfig):
    """The pipeline app: ledger, vintages, analytics."""

    name = "pipeline"
    verbose_name = "Market Spine"

    def ready(self) -> None:
        """Register the system checks, and name models of other apps in this product's words.

        polars gets all cores here, as in a process that stands alone; processes that share them say so later.
        """
        import_module("pipeline.checks")
        cores.share(settings.MARKETSPINE_CORES, processes=1)
        for model, (one, many) in NAMED.items():
            options = apps.get_model(model)._meta
            options.verbose_name, options.verbose_name_plural = one, many
