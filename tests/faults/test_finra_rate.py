"""The rate limit holds for a fleet: four workers, one Redis, and the service's own log of what arrived when."""

from __future__ import annotations

from datetime import date

from pytest_django import Settings

from pipeline import canvas
from pipeline.calendar import last_fridays
from pipeline.models import Capture, Run, RunStatus
from pipeline.planning import Request, plan_with, source_of
from tests.finra_service import FinraServer, Options, sample_service
from tests.fleet import Fleet

TODAY = date(2025, 12, 26)
WEEKS = last_fridays(13, TODAY)[5:]
LIMIT = 20
LEAST_SHARE = 0.7  # of what is allowed: a limit is not kept by dawdling


def launched(fleet: Fleet) -> Run:
    request = Request(command="backfill", run_date=TODAY, weeks=WEEKS, source="api")
    with fleet.sending():
        return canvas.launch(plan_with(request, source_of(request)))


def test_four_workers_share_one_rate(fleet: Fleet, redis_url: str, settings: Settings) -> None:
    service = sample_service(WEEKS, today=TODAY, securities=1, options=Options(requests_per_second=LIMIT))
    with FinraServer(service) as server:
        named = {
            "MARKETSPINE_FINRA_API_URL": server.url,
            "MARKETSPINE_FINRA_TOKEN_URL": f"{server.url}/fip/rest/ews/oauth2/access_token",
            "FINRA_CLIENT_ID": "client",
            "FINRA_CLIENT_SECRET": "secret",
        }
        for name, value in {**named, "CELERY_BROKER_URL": redis_url}.items():
            setattr(settings, name, value)
        run = launched(fleet)
        for _ in range(4):
            fleet.worker(**named)
        fleet.heal(run)

    entries = [entry for entry in service.log.entries() if entry.path.startswith(("/data/", "/partitions/"))]
    assert (run.status, Capture.objects.count()) == (RunStatus.SUCCEEDED, len(WEEKS) * 3)
    assert service.log.busiest(1.0) <= LIMIT
    assert not [entry for entry in entries if entry.throttled]
    pages = [entry for entry in entries if entry.rows]
    assert len(pages) == len(WEEKS) * 3 * 4
    assert (len(pages) - 1) / (pages[-1].at - pages[0].at) >= LIMIT * LEAST_SHARE
    assert service.tokens.issued == 1
