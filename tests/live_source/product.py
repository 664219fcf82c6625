"""The product on a virtual day: its schedules, its runs, and what it holds, as the service would put it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import time_machine
from django_celery_beat.models import PeriodicTask
from kombu.transport.memory import Channel
from pytest_django import Settings

from pipeline import task_names
from pipeline.engine import canvas, schedules
from pipeline.finra.calendar import PartitionKey
from pipeline.models import Partition, Run
from pipeline.runs import in_process, plan, sources
from pipeline.runs.request import Request
from pipeline.vintages import read
from tests.fake_finra import FinraServer
from tests.fake_finra.rows import FirmRow, FirmRows

NEW_YORK = ZoneInfo("America/New_York")
Held = frozenset[tuple[object, ...]]


def point_at(server: FinraServer, settings: Settings) -> None:
    """Have the product ask the service, as fast as it can, and be patient for milliseconds only."""
    settings.MARKETSPINE_SOURCE = "api"
    settings.MARKETSPINE_FINRA_API_URL = server.url
    settings.MARKETSPINE_FINRA_TOKEN_URL = f"{server.url}/fip/rest/ews/oauth2/access_token"
    settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND = 100_000
    settings.MARKETSPINE_RETRY_SECONDS = 0.02


@contextmanager
def day(of: date, server: FinraServer) -> Iterator[datetime]:
    """Noon in New York, here and at the service."""
    noon = datetime.combine(of, time(12), NEW_YORK)
    server.service.today = of
    with time_machine.travel(noon, tick=False):
        yield noon
    Channel.queues.clear()  # what was sent to no worker


def install(on: datetime) -> None:
    """The schedules owe nothing from before."""
    PeriodicTask.objects.filter(task=task_names.START_SCHEDULED).update(start_time=on)


def work_off(now: datetime) -> list[Run]:
    """What the schedules owe, done."""
    started = schedules.start_owed(now)
    for run in started:
        in_process.execute(run, None)
    return started


def run(request: Request) -> Run:
    """A run by hand."""
    launched = canvas.launch(plan.plan_with(request, sources.source_of(request)))
    in_process.execute(launched, None)
    launched.refresh_from_db()
    return launched


def held(key: PartitionKey) -> Held:
    """The latest rows of a partition."""
    return frozenset(_stored(row) for row in read.latest([key]).collect().iter_rows(named=True))


def truth(rows: FirmRows) -> Held:
    """The service's rows, as the product stores them: an ATS is its MPID."""
    return frozenset(map(_published, rows))


def captured_keys() -> list[PartitionKey]:
    """The partitions that hold something."""
    return [partition.key for partition in Partition.objects.filter(latest__isnull=False)]


def _stored(row: dict[str, Any]) -> tuple[object, ...]:
    venue = (row["mpid"], "", "") if row["mpid"] else ("", row["crd"], row["venue_name"])
    figures = (row["shares"], row["trades"], row["notional"], row["last_update_date"].isoformat())
    return (row["symbol"], row["issue_name"], *venue, row["product_type"], *figures)


def _published(row: FirmRow) -> tuple[object, ...]:
    venue = (row.mpid, "", "") if row.mpid else ("", str(row.crd), row.firm)
    figures = (row.shares, row.trades, row.notional, row.updated)
    return (row.symbol or "", row.issue_name or "", *venue, row.product_type or "", *figures)
