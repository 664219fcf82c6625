"""The Celery application: configured by the settings that begin with CELERY_, its tasks in `pipeline.tasks`."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")

app = Celery("marketspine")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_logging(**_signal: object) -> None:
    """A worker and beat log as the settings say, like every other process: with a listener, Celery sets nothing up."""
