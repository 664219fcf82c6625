"""The Celery application: configured by the settings that begin with CELERY_, its tasks in `pipeline.tasks`."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging

from marketspine.startup import require_readable_settings, require_sound_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")

app = Celery("marketspine")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_configure.connect
def end_where_settings_cannot_be_read(**_signal: object) -> None:
    """`celery -A marketspine ...` says which variable, instead of a traceback."""
    require_readable_settings()


@celeryd_init.connect
@beat_init.connect
def end_where_settings_cannot_work(**_signal: object) -> None:
    """A worker and beat do not begin on settings that end a command."""
    require_sound_settings()


@setup_logging.connect
def keep_logging(**_signal: object) -> None:
    """A worker and beat log as the settings say, like every other process: with a listener, Celery sets nothing up."""
