"""How fast the admin's pages are on a large ledger: `python -m benchmarks.admin [--weeks 260]`.

260 weeks of three tiers with three captures each on PostgreSQL (started from its wheel, or TEST_DATABASE_URL), and a vintage
file for each capture, 69 million rows in the latest. Each page is asked for by an operator through Django's whole stack, but
the socket; after two to warm up, so many times that a 95th percentile can be told. Exit code 1 when one is above 300 ms, or
above 500 ms where a symbol is looked for in 780 vintage files.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
django.setup()

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks import program
from benchmarks.large_ledger import large_ledger
from pipeline.finra.calendar import WEEK
from pipeline.models import AnalyticsSnapshot, Anomaly, Capture, Manifest, OperatorLogEntry, Partition, Readiness, Run
from pipeline.weeks import analytics

WEEKS, SMALL = 260, 26
LIMIT_MS, LIMIT_OF_A_SYMBOL_MS = 300.0, 500.0
WARM_UP = 2
CALCULATED = 15  # weeks, those that the analyst's pages show and those before
LISTS = (Partition, Capture, Anomaly, Readiness, Manifest, AnalyticsSnapshot, Run, OperatorLogEntry)


@dataclass(frozen=True, slots=True)
class Measured:
    """A page: milliseconds in the median and at the 95th percentile, and its number of queries."""

    page: str
    median: float
    p95: float
    queries: int

    @property
    def is_fast_enough(self) -> bool:
        return self.p95 <= (LIMIT_OF_A_SYMBOL_MS if "symbol=" in self.page else LIMIT_MS)


def main() -> int:
    """Build, measure, print; whether all is fast enough."""
    options = _options()
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    with large_ledger(options.weeks):
        newest = Partition.objects.order_by("-week_ending")[0].week_ending
        for back in range(CALCULATED):
            analytics.calculate_week(newest - back * WEEK)
        print(f"{Run.objects.count():,} runs")
        client = _operator()
        measured = [_measure(client, page, options.requests) for page in _pages()]
    for one in measured:
        slow = "" if one.is_fast_enough else "  ABOVE"
        print(f"{one.page:<75} {one.median:7.1f} ms  p95 {one.p95:7.1f} ms  {one.queries:3} queries{slow}")
    return int(not all(one.is_fast_enough for one in measured))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=WEEKS, help="how many weeks (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=30, help="requests of each page (default: %(default)s)")
    parser.add_argument("--small", dest="weeks", action="store_const", const=SMALL, help="a tenth, for a quick try")
    return parser.parse_args()


def _operator() -> Client:
    user = User.objects.create_user("operator", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    client = Client()
    client.force_login(user)
    return client


def _pages() -> Iterator[str]:
    """The dashboard, each list (plain, filtered, a later page), a page of each kind, and the search of rows."""
    yield "/admin/"
    for model in LISTS:
        name, found = model._meta.model_name, model.objects.order_by("pk")
        yield f"/admin/pipeline/{name}/"
        yield f"/admin/pipeline/{name}/?p=2"
        yield f"/admin/pipeline/{name}/{found[found.count() // 2].pk}/change/"
    yield "/admin/pipeline/partition/?state=FAILED"
    yield "/admin/pipeline/partition/?open_anomalies=some"
    yield "/admin/pipeline/anomaly/?resolved_at__isnull=True"
    yield "/admin/pipeline/capture/?kind__exact=RESTATEMENT"
    capture = Capture.objects.filter(version=2).order_by("pk")[10]
    for part in ("difference/", "movement/", "rejects/"):
        yield f"/admin/pipeline/capture/{capture.pk}/{part}"
    yield "/admin/rows/"
    yield "/admin/rows/?symbol=S100"
    yield "/admin/rows/?symbol=S100&week=" + capture.partition.week_ending.isoformat()
    yield "/admin/rows/?symbol=S4100&venue=V012"
    yield f"/admin/rows/?symbol=S4100&as_of={capture.captured_at:%Y-%m-%dT%H:%M:%S}"
    yield "/admin/rows/?symbol=S111&tier=OTC"  # of which only the beginning is there
    yield "/admin/rows/?venue=V012"
    yield "/admin/rows/?venue=firm+100"
    yield "/admin/rows/?issue=issuer+777"
    yield f"/admin/rows/?capture={capture.capture_id}"
    yield f"/admin/rows/?capture={capture.capture_id}&venue=V012"
    yield "/admin/market/"
    yield "/admin/market/?tier=OTC&weeks=26"
    yield "/admin/market/venue/?mpid=V012"
    yield "/admin/market/symbol/?symbol=S4100"
    yield "/admin/django_celery_beat/periodictask/"


def _measure(client: Client, page: str, requests: int) -> Measured:
    with CaptureQueriesContext(connection) as queries:
        _get(client, page)
    asked = len(queries)
    for _ in range(WARM_UP):
        _get(client, page)
    times = []
    for _ in range(requests):
        begun = time.perf_counter()
        _get(client, page)
        times.append((time.perf_counter() - begun) * 1000)
    p95 = statistics.quantiles(times, n=20)[-1]
    return Measured(page, statistics.median(times), p95, asked)


def _get(client: Client, page: str) -> None:
    answer = client.get(page)
    if answer.status_code != 200:
        raise RuntimeError(f"{page}: {answer.status_code}")


if __name__ == "__main__":
    program.run(main)
