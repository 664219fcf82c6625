"""Years of history captured, then a year lived day by day, with the schedules running and a service that has bad days.

Every day the product is held to what the service truly had: no vintage missed that a run or a sweep could see, none made up,
no week called ready while it lacked something. A poller follows the feed of restatements over HTTP, and misses none.
By default a shorter history and some weeks; all of it with FAULTS=all.
"""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date, timedelta

import pytest
from django.db.models import F
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey, Tier, is_due, last_fridays, week_start_of, weeks_between
from pipeline.models import (
    Action,
    Anomaly,
    Capture,
    Category,
    Outcome,
    Partition,
    Readiness,
    ReadinessState,
    Run,
    RunPartition,
)
from pipeline.runs.request import Only, Request
from tests.api.following import Follower
from tests.fake_finra import Catalogue, Fault, FinraServer, Kind, Options, Restatement, Samples, Service, drawn
from tests.fake_finra.restatements import redraw
from tests.fake_finra.rows import FirmRows
from tests.faults.extent import EVERYTHING, SEED
from tests.live_source import product
from tests.support.engines import ENGINES, Engines

INSTALLED = date(2025, 10, 13)
HISTORY_WEEKS, DAYS = (260, 365) if EVERYTHING else (13, 21)
WORKED = (Action.INGEST, Action.PROBE)
SEEN = (Outcome.INGESTED, Outcome.RESTATED, Outcome.UNCHANGED)
DAY, SUNDAY = timedelta(days=1), 6


class Life:
    """What the service truly had, and what the product made of it."""

    def __init__(self, server: FinraServer) -> None:
        self.server = server
        self.catalogue = server.service.catalogue
        self.vintages: dict[PartitionKey, list[FirmRows]] = defaultdict(list)

    def serves(self, key: PartitionKey, today: date) -> bool:
        """Whether the partition is within the service's rolling window still."""
        window = timedelta(weeks=self.server.service.options.recent_weeks)
        return week_start_of(key.week_ending) >= today - window

    def check_run(self, run: Run, today: date) -> None:
        """What a run worked on without failing is what the service had that day, and made a vintage only if it was new."""
        worked = RunPartition.objects.filter(run=run, action__in=WORKED, outcome__in=SEEN)
        for step in worked.select_related("partition", "capture"):
            key = step.partition.key
            true = self.catalogue.firm_rows(key, today)
            known = self.vintages[key]
            is_new = self.serves(key, today) and (not known or product.truth(known[-1]) != product.truth(true))
            assert (step.outcome != Outcome.UNCHANGED) is is_new, f"{today}: {key} {step.outcome}: {step.reason}"
            if is_new:
                known.append(true)
                assert product.held(key) == product.truth(true), f"{today}: {key}"

    def check_readiness(self, today: date) -> None:
        """A week that is called ready has all its tiers, due and captured, and no open error."""
        ready = Readiness.objects.filter(state=ReadinessState.READY).values_list("week_ending", flat=True).distinct()
        captured = set(product.captured_keys())
        for week in ready:
            for key in (PartitionKey(week, tier) for tier in Tier):
                assert key in captured, f"{today}: {week} is called ready without {key}"
                assert is_due(key, today), f"{today}: {week} is called ready before {key} is due"

    def check_end(self, today: date) -> None:
        """The latest view is the service's truth; each partition has the vintages that could be seen, and no other."""
        for key in (key for key in self.catalogue.keys(today) if self.serves(key, today)):
            assert product.held(key) == product.truth(self.catalogue.firm_rows(key, today)), key
        for partition in Partition.objects.all():
            assert partition.captures.count() == len(self.vintages[partition.key]), partition


def service(rng: random.Random) -> Service:
    """Publications of all weeks; some come late, some are restated soon or long after, some of those are undone."""
    oldest = last_fridays(HISTORY_WEEKS, INSTALLED)[-1]
    weeks = sorted(weeks_between(oldest, last_fridays(1, INSTALLED + DAYS * DAY)[0]))
    keys = [PartitionKey(week, tier) for week in weeks for tier in Tier]
    restatements = drawn(keys, rng.randrange(10**6), far=0.3)
    restatements.append(Restatement(keys[0], INSTALLED + 12 * DAY, redraw("long after")))
    unrestated = [key for key in keys[-40:] if key not in {restatement.key for restatement in restatements}]
    catalogue = Catalogue(
        weeks,
        Samples(securities=2),
        restatements=restatements,
        days_late={key: rng.randint(1, 12) for key in rng.sample(unrestated, 4)},
        kept=len(keys),
    )
    options = Options(requests_per_second=None, token_seconds=7200, asynchronous_per_hour=None)
    return Service(catalogue, options, today=INSTALLED)


def bad_day(rng: random.Random, server: FinraServer, left: int, *, sweeps: bool) -> int:
    """How many days of an outage are left after this one; now and then the service only stumbles."""
    server.service.faults.clear()
    if left == 0 and rng.random() < 0.04:
        left = rng.randint(1, 4)
    if left:
        server.service.faults.add(Fault(Kind.STATUS, times=None, path="/", status=rng.choice((502, 503, 504))))
        return left - 1
    for kind in rng.sample(STUMBLES, 2):
        server.service.faults.add(Fault(kind, times=rng.randint(1, 3), after=rng.randint(0, 20), retry_after="0"))
    if not sweeps:  # a sweep believes a count
        tear = Fault(rng.choice(TEARS), times=1, after=rng.randint(0, 40), path="/weeklySummary")
        server.service.faults.add(tear)
    if rng.random() < 0.2:
        server.service.tokens.revoke()
    return 0


STUMBLES = (
    Kind.STORM,
    Kind.STATUS,
    Kind.RESET_MID_BODY,
    Kind.CLOSED_AT_ONCE,
    Kind.TRUNCATED_JSON,
    Kind.HTML_PAGE,
)
TEARS = (
    Kind.ROW_ADDED,
    Kind.ROW_REMOVED,
    Kind.ROWS_SHIFTED,
    Kind.ROWS_SLIPPED,
    Kind.TOTAL_WRONG,
)  # a second reading is whole


@pytest.mark.promise(1)
@pytest.mark.promise(2)
@pytest.mark.timeout(5400)
@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("engine", ENGINES if EVERYTHING else ENGINES[:1])
def test_a_year_beside_a_living_service(engines: Engines, engine: str, settings: Settings) -> None:
    print(f"seed {SEED}")
    rng = random.Random(f"{SEED}|year")
    settings.FINRA_CLIENT_ID, settings.FINRA_CLIENT_SECRET = "client", "secret"
    with FinraServer(service(rng)) as server, engines.using(engine):
        product.point_at(server, settings)
        life, follower = Life(server), Follower()
        with product.day(INSTALLED, server) as noon:
            product.install(noon)
            life.check_run(product.run(backfill(INSTALLED)), INSTALLED)
            assert follower.poll() == 0
        left = 0
        for number in range(1, DAYS + 1):
            today = INSTALLED + number * DAY
            left = bad_day(rng, server, left, sweeps=today.weekday() == SUNDAY or today.day == 1)
            with product.day(today, server) as noon:
                for run in product.work_off(noon):
                    life.check_run(run, today)
                life.check_readiness(today)
                follower.poll()
        server.service.faults.clear()
        last = INSTALLED + (DAYS + 1) * DAY
        with product.day(last, server):
            life.check_run(product.run(weekly(last)), last)
            life.check_run(product.run(sweep(last)), last)
            life.check_readiness(last)
            follower.poll()
        life.check_end(last)
        follower.check()
        check_what_was_said()
        told = Run.objects.count(), Capture.objects.count(), len(server.service.log.entries()), len(follower.seen)
        print("runs {}, captures {}, requests {}, entries of the feed {}".format(*told))


def check_what_was_said() -> None:
    """Restatements were seen, late ones said so, and no capture is the same as the one before it."""
    assert Capture.objects.filter(version__gt=1).exists()
    late = Anomaly.objects.filter(category=Category.RESTATED_LATE)
    assert late.exists()
    assert set(late.values_list("severity", flat=True)) == {"INFO"}
    same = Capture.objects.filter(partition__captures__version=F("version") - 1)
    assert (
        not same.filter(partition__captures__content_hash=F("content_hash"))
        .filter(version__gt=1)
        .exclude(partition__captures__version=F("version"))
        .exists()
    )


def backfill(today: date) -> Request:
    weeks = last_fridays(HISTORY_WEEKS, today)
    return Request(command="backfill", run_date=today, weeks=weeks, source="api")


def weekly(today: date) -> Request:
    return Request(command="run_weekly", run_date=today, source="api", lookback_weeks=12)


def sweep(today: date) -> Request:
    return Request(
        command="probe_restatements",
        run_date=today,
        lookback_weeks=520,
        only=Only.CAPTURED,
        probe=True,
        source="api",
    )
