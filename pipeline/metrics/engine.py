"""Workers, beat and the broker. Live or silent is decided as by the dashboard's alarms."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.utils import timezone

from pipeline.engine import canvas
from pipeline.engine.embedded import NO_BROKER
from pipeline.finra.sources.api import rate
from pipeline.metrics.samples import Sample, instant, sample
from pipeline.models import WorkerSign
from pipeline.resilience import clock
from pipeline.review import alarms
from pipeline.runs.sources import access

logger = logging.getLogger(__name__)

DROPPED_AFTER = timedelta(days=1)
BROKER_SECONDS = 2


def is_distributed() -> bool:
    """Whether work goes through a broker."""
    return bool(settings.CELERY_BROKER_URL != NO_BROKER)


def read(now: datetime) -> Iterator[Sample]:
    """Signs of life, from the ledger."""
    yield sample("engine_distributed", is_distributed())
    signs = list(WorkerSign.objects.filter(seen_at__gt=now - DROPPED_AFTER).values_list("seen_at", flat=True))
    live = sum(clock.is_sign_of_life(seen, now, alarms.SILENCE) for seen in signs)
    yield sample("workers", live, state="live")
    yield sample("workers", len(signs) - live, state="silent")
    yield from instant("worker_last_seen_timestamp_seconds", alarms.last_worker_sign())
    yield from instant("beat_last_fired_timestamp_seconds", alarms.last_beat())


def read_broker() -> Iterator[Sample]:
    """Whether the broker answers, and the lengths of its queues; called outside the ledger's transaction."""
    if not is_distributed():
        return
    try:
        lengths, held = _lengths(), rate.held_seconds(access().shared)
    except canvas.UNREACHABLE as error:
        logger.warning("the broker cannot be asked for its queues: %s", error)
        yield sample("broker_up", 0)
        return
    yield sample("broker_up", 1)
    for queue, length in lengths.items():
        yield sample("queue_length", length, queue=queue)
    if held:
        yield from instant("finra_held_until_timestamp_seconds", timezone.now() + timedelta(seconds=held))


def _lengths() -> dict[str, int]:
    """The messages that wait in each queue. kombu's `_size` adds up the lists that it keeps for the priorities."""
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "socket_timeout": BROKER_SECONDS}
    options |= {"socket_connect_timeout": BROKER_SECONDS, "max_retries": 0}
    with current_app.connection_for_read(settings.CELERY_BROKER_URL, transport_options=options) as connection:
        connection.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
        channel: Any = connection.default_channel
        return {queue.name: int(channel._size(queue.name)) for queue in settings.CELERY_TASK_QUEUES}
