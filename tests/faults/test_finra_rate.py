"""The rate limit holds for a fleet: four workers take their places from one Redis.

When requests arrive depends on the machine, too: some that were sent in time are late, and then come together with the
next. What does not depend on it: the last cannot come before all places before its own have passed.
"""

from __future__ import annotations

import time
from datetime import date
from itertools import pairwise

import redis
from pytest_django import Settings

from pipeline.engine import canvas
from pipeline.finra.calendar import last_fridays
from pipeline.finra.sources.api.rate import HEADROOM, KEYS, SharedPlaces
from pipeline.models import Capture, Run, RunStatus
from pipeline.runs.plan import plan_with
from pipeline.runs.request import Request
from pipeline.runs.sources import source_of
from tests.fake_finra import FinraServer, Options, sample_service
from tests.support.fleet import Fleet

TODAY = date(2025, 12, 26)
WEEKS = last_fridays(13, TODAY)[5:]
LIMIT = 20
PLACE = 1 / (LIMIT * HEADROOM)  # seconds


def launched(fleet: Fleet) -> Run:
    request = Request(command="backfill", run_date=TODAY, weeks=WEEKS, source="api")
    with fleet.sending():
        return canvas.launch(plan_with(request, source_of(request)))


def test_four_workers_share_one_rate(fleet: Fleet, redis_url: str, settings: Settings) -> None:
    service = sample_service(WEEKS, today=TODAY, securities=None, options=Options(requests_per_second=None))
    with FinraServer(service) as server:
        named = {
            "MARKETSPINE_FINRA_API_URL": server.url,
            "MARKETSPINE_FINRA_TOKEN_URL": f"{server.url}/fip/rest/ews/oauth2/access_token",
            "FINRA_CLIENT_ID": "client",
            "FINRA_CLIENT_SECRET": "secret",
        }
        for name, value in {**named, "CELERY_BROKER_URL": redis_url}.items():
            setattr(settings, name, value)
        run, began = launched(fleet), time.perf_counter()
        for _ in range(4):
            fleet.worker(**named)
        fleet.heal(run)

    entries = [entry for entry in service.log.entries() if entry.at > began]
    assert (run.status, Capture.objects.count()) == (RunStatus.SUCCEEDED, len(WEEKS) * 3)
    assert len([entry for entry in entries if entry.rows]) == len(WEEKS) * 3 * 4
    assert entries[-1].at - began >= (len(entries) - 1) * PLACE
    assert service.tokens.issued == 1


def test_two_workers_never_get_places_closer_than_the_rate_allows(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as one, redis.Redis.from_url(redis_url) as other:
        workers = [SharedPlaces(PLACE, client) for client in (one, other)]
        following = list[int]()
        for worker in workers * 5:
            assert worker.take().seconds >= 0
            following.append(int(one.get(KEYS[0]) or 0))
    assert min(later - earlier for earlier, later in pairwise(following)) >= round(PLACE * 1_000_000)
