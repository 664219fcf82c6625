"""The Celery application: configured by the settings that begin with CELERY_, its tasks in `pipeline.tasks`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")

app = Celery("marketspine")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
