"""What FINRA's API is asked: `python -m benchmarks.asked [days | estimate] [--weeks N]`.

`days`: a year of weeks is captured; then a Sunday, a Monday and a Tuesday are lived with the schedules, and the service's
log is counted by kind of request, beside the pages that downloading the same partitions would take.

`estimate`: what is said before a backfill of five years, beside a backfill of some weeks from a service whose every reply
takes as long as a public client has seen (1.4 s), measured and extrapolated.

The service's partitions are a 180th of FINRA's, and so are its pages: there are as many of them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
django.setup()

from django.conf import settings
from django.test import override_settings

from benchmarks import program
from pipeline.finra.calendar import PartitionKey, Tier, last_fridays
from pipeline.models import Action, Capture, Run
from pipeline.runs.estimate import TYPICAL_PAGE_SECONDS, Estimate, estimate
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from tests.fake_finra import Catalogue, Fault, FinraServer, Kind, Options, Restatement, Samples, Service
from tests.fake_finra.log import Entry
from tests.fake_finra.restatements import redraw
from tests.fake_finra.rows import FIELDS
from tests.live_source import product
from tests.management.calling import call
from tests.support.engines import SQLiteLedger, as_default, migrated

SATURDAY = date(2026, 1, 10)
SUNDAY, MONDAY, TUESDAY = (SATURDAY + timedelta(days=n) for n in (1, 2, 3))
ROWS_OF_A_PAGE = 28
WEEKS_OF_A_YEAR, WEEKS_OF_FIVE_YEARS = 53, 260
FETCHED = (Action.INGEST, Action.ARCHIVE, Action.PROBE)
LISTS, QUESTION = "lists of what there is", "questions whether something moved"
ROWS, TOTALS = "pages of rows by firm", "pages of totals by symbol"


@dataclass(frozen=True, slots=True)
class Day:
    """What was asked on a day, by kind, and how many pages downloading all of its partitions takes."""

    name: str
    partitions: int
    restated: int
    asked: Counter[str]
    whole: int


def main() -> None:
    """Measure one or the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("days", "estimate"), nargs="?", default="days")
    parser.add_argument("--weeks", type=int, help="of history; of the backfill that is measured (default: 53; 4)")
    given = parser.parse_args()
    if given.what == "days":
        report(days(given.weeks or WEEKS_OF_A_YEAR))
    else:
        measure(given.weeks or 4)


@contextmanager
def living(weeks: int, restatements: list[Restatement]) -> Iterator[FinraServer]:
    """A ledger and an archive of their own, and a service that publishes so many weeks, and on SATURDAY what is due then."""
    published = last_fridays(weeks, TUESDAY)
    options = Options(requests_per_second=None, max_limit=ROWS_OF_A_PAGE)
    service = Service(Catalogue(published, Samples(), restatements=restatements, kept=9), options, today=SATURDAY)
    with tempfile.TemporaryDirectory() as folder, FinraServer(service) as server, override_settings():
        settings.MARKETSPINE_ARCHIVE_DIR = f"{folder}/archive"
        storage = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": f"{folder}/archive"},
        }
        settings.STORAGES = {**settings.STORAGES, "default": storage}
        settings.FINRA_CLIENT_ID = ""
        product.point_at(server, settings)  # type: ignore[arg-type] # settings that end with the block, like pytest's
        ledger = migrated(SQLiteLedger(Path(folder) / "ledger.sqlite3"))
        with as_default(ledger):
            yield server


def days(weeks: int) -> list[Day]:
    """Capture the history, and live three days."""
    restated = PartitionKey(last_fridays(9, TUESDAY)[-1], Tier.OTC)
    with living(weeks, [Restatement(restated, MONDAY, redraw("monday"))]) as server:
        with product.day(SATURDAY, server) as noon:
            product.install(noon)
            product.run(
                Request(command="backfill", run_date=SATURDAY, weeks=last_fridays(weeks, SATURDAY), source="api")
            )
        return [
            lived(server, name, day) for name, day in (("Sunday", SUNDAY), ("Monday", MONDAY), ("Tuesday", TUESDAY))
        ]


def lived(server: FinraServer, name: str, today: date) -> Day:
    """What the schedules owe on the day, done; what was asked."""
    with product.day(today, server) as noon:
        server.service.log.clear()
        started = product.work_off(noon)
    asked = Counter(kind(entry) for entry in server.service.log.entries())
    steps = [step for run in started for step in run.partitions.filter(action__in=FETCHED).select_related("partition")]
    whole = sum(pages(server, step.partition.key, today) for step in steps)
    restated = Capture.objects.filter(run__in=started, version__gt=1).count()
    return Day(name, len(steps), restated, asked, whole)


def kind(entry: Entry) -> str:
    """What a request is for."""
    body: Any = entry.body if isinstance(entry.body, dict) else {}
    if body.get("limit") == 1:
        return QUESTION
    if entry.dataset == "weeklysummary" and entry.method == "POST":
        types = [one.get("fieldValue", "") for one in body.get("compareFilters", [])]
        return ROWS if any(str(one).endswith("_FIRM") for one in types) else TOTALS
    return LISTS if "/partitions/" in entry.path or entry.dataset == "weeklydownloaddetails" else entry.path


def pages(server: FinraServer, key: PartitionKey, today: date) -> int:
    """The pages of a partition: of each cut the rows, and one that begins it."""
    cuts = Counter(row[FIELDS.index("summaryTypeCode")] for row in server.service.catalogue.rows(key, today))
    return sum(-(-rows // ROWS_OF_A_PAGE) for rows in cuts.values())


def report(found: list[Day]) -> None:
    """A row for each kind, a column for each day."""
    kinds = sorted({one for day in found for one in day.asked})
    lines = [
        ("", *(day.name for day in found)),
        ("partitions of the runs", *(day.partitions for day in found)),
        ("restated", *(day.restated for day in found)),
        *((one, *(day.asked[one] for day in found)) for one in kinds),
        ("requests", *(day.asked.total() for day in found)),
        ("pages of all of them, if they were downloaded", *(day.whole for day in found)),
    ]
    for name, *figures in lines:
        print(f"{name:46}" + "".join(f"{figure:>10}" for figure in figures))


def measure(weeks: int) -> None:
    """The estimates, and what a backfill of some weeks takes."""
    with living(weeks + 8, []) as server, override_settings(MARKETSPINE_THREADS=2):
        settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND = 20
        wanted = last_fridays(weeks + 6, SATURDAY)[6:]
        server.service.faults.add(Fault(Kind.LATE, times=None, path="/weeklySummary", seconds=TYPICAL_PAGE_SECONDS))
        said, five = estimated(wanted), estimated(last_fridays(WEEKS_OF_FIVE_YEARS + 5, SATURDAY)[5:])
        server.service.log.clear()
        began = time.monotonic()
        ran = call("backfill", "--source", "api", "--from", wanted[-1], "--to", wanted[0], "--run-date", SATURDAY)
        took = time.monotonic() - began
        if ran.code:
            raise SystemExit(ran.out + ran.err)
        asked = len(server.service.log.entries("weeklysummary"))
        partitions = Run.objects.latest("pk").partitions.count()
    print(f"said of {weeks} weeks before:   {said}")
    print(
        f"measured:               {partitions} partitions, {asked} requests, {took:.0f} s, {took / asked:.2f} s a request"
    )
    print(f"said of five years:     {five}")
    print(f"extrapolated from it:   {took * WEEKS_OF_FIVE_YEARS / weeks / 3600:.1f} hours")


def estimated(weeks: tuple[date, ...]) -> Estimate | None:
    """What is said of a backfill of these weeks."""
    return estimate(make_plan(Request(command="backfill", run_date=SATURDAY, weeks=weeks, source="api")))


if __name__ == "__main__":
    program.run(main)
