"""The Celery application: configured by the settings that begin with CELERY_, its tasks in `pipeline.tasks`."""

from __future__ import annotations

import os
import sys
from typing import Any

import celery.apps.worker
from celery import Celery
from celery.concurrency import get_implementation
from celery.concurrency.prefork import TaskPool as ForkingPool
from celery.signals import beat_init, celeryd_init, setup_logging, worker_init
from django.conf import settings

from marketspine import alive, broker, cores, logs
from marketspine.startup import COULD_NOT_RUN, require_readable_settings, require_sound_settings
from pipeline.resilience import stopping

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")

cores.keep_freed_memory()
broker.use()
app = Celery("marketspine", fixups=["marketspine.kept:fixup"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(alive.Beacon)
app.steps["consumer"].add(alive.Round)


@app.on_configure.connect
def end_where_settings_cannot_be_read(**_signal: object) -> None:
    """Let `celery -A marketspine ...` name the variable instead of showing a traceback."""
    require_readable_settings()


@celeryd_init.connect
@beat_init.connect
def end_where_settings_cannot_work(**_signal: object) -> None:
    """Let worker and beat refuse the settings that a command refuses."""
    require_sound_settings()


@celeryd_init.connect
def name_worker(sender: str, instance: Any, **_signal: object) -> None:
    """Let its log lines name the worker: `ingest` of `-n ingest@%h`. In JSON the banner is left out."""
    logs.bind_process(process=sender.partition("@")[0])
    if settings.MARKETSPINE_LOG_FORMAT == logs.JSON:
        instance.quiet = True
        celery.apps.worker.safe_say = logs.say  # type: ignore[attr-defined]  # no part of the stubs


@beat_init.connect
def name_beat(**_signal: object) -> None:
    """Let beat's log lines name it."""
    logs.bind_process(process="beat")


@worker_init.connect
def share_the_cores(sender: Any, **_signal: object) -> None:
    """Divide the cores among a worker's processes; refuse to fork them where the parent has used polars."""
    if not issubclass(get_implementation(sender.pool_cls), ForkingPool):
        return
    if cores.polars_was_used():
        print(cores.REFUSED, file=sys.stderr, flush=True)
        sys.exit(COULD_NOT_RUN)
    cores.share(settings.MARKETSPINE_CORES, sender.concurrency)


@worker_init.connect
def order_to_stop_before_a_soft_shutdown(sender: Any, **_signal: object) -> None:
    """Give the order to stop when a soft shutdown begins: Celery's own signal comes after it, too late for cut tasks."""
    wait = sender.wait_for_soft_shutdown

    def order_and_wait() -> None:
        stopping.order()
        wait()

    sender.wait_for_soft_shutdown = order_and_wait


@setup_logging.connect
def keep_logging(**_signal: object) -> None:
    """Let worker and beat log as the settings say: Celery sets up no log of its own while a listener is connected."""
