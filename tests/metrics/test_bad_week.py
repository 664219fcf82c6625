"""A bad week, lived by the real product under a real Prometheus: which alerts fire, when, and that they end.

    FAULTS=all .venv/bin/pytest -n 0 -s tests/metrics/test_bad_week.py

takes seven minutes, and prints what fired. It needs Debian's package prometheus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import psycopg
import pytest
import time_machine
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from pipeline import task_names, tasks
from pipeline.engine import embedded
from pipeline.finra.calendar import PartitionKey, Tier, is_due, look_back
from pipeline.metrics import exposition
from pipeline.models import Capture, Run
from pipeline.vintages import archive
from tests.faults.extent import EVERYTHING
from tests.management.calling import call
from tests.management.publications import publish
from tests.metrics.prometheus import PATIENCE, Clock, Episode, Exporter, exporter, prometheus
from tests.support import servers
from tests.support.engines import Engines

NEW_YORK = ZoneInfo("America/New_York")
MONDAY = date(2025, 12, 15)
SUNDAY = datetime(2025, 12, 14, 18, tzinfo=NEW_YORK)
WEEK = date(2025, 11, 14)  # due on MONDAY in the tiers that come late this time
LATE = tuple(PartitionKey(WEEK, tier) for tier in (Tier.NMS_TIER_2, Tier.OTC))
IN_TIME = PartitionKey(date(2025, 11, 28), Tier.NMS_TIER_1)

pytestmark = [
    pytest.mark.skipif(not EVERYTHING, reason="takes seven minutes: FAULTS=all"),
    pytest.mark.timeout(1200),
]


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """So many days after MONDAY, in New York."""
    return datetime.combine(MONDAY, datetime.min.time(), NEW_YORK) + timedelta(days=day, hours=hour, minutes=minute)


def hours(number: int) -> timedelta:
    """So long."""
    return timedelta(hours=number)


class Week:
    """The product, as it is kept going by beat, by workers and by its servers; each of them may be away for a while."""

    def __init__(self, source_dir: Path, database_url: str, broker: servers.Redis, told: Exporter) -> None:
        self._source_dir, self._url, self._broker, self.told = source_dir, database_url, broker, told
        self.has_beat = self.has_workers = self.has_database = True
        self.lost: tuple[Path, bytes] | None = None

    def publish(self, *keys: PartitionKey) -> None:
        """FINRA publishes."""
        for key in keys:
            publish(self._source_dir, key)

    def lose_payload(self) -> None:
        """A file of the archive is removed; the check of the archive finds it."""
        capture = Capture.objects.filter(partition__tier=Tier.OTC).order_by("partition__week_ending").first()
        assert capture
        path = Path(default_storage.path(archive.path_of(capture.payload_sha256)))
        self.lost = path, path.read_bytes()
        path.unlink()
        tasks.check_archive()

    def bring_payload_back(self) -> None:
        """It comes back from a backup."""
        assert self.lost
        self.lost[0].write_bytes(self.lost[1])
        tasks.check_archive()

    def refuse_connections(self) -> None:
        """The database is gone."""
        self.has_database = False
        self._allow(is_allowed=False)

    def take_connections(self) -> None:
        """It is back."""
        self._allow(is_allowed=True)
        self.has_database = True

    def _allow(self, *, is_allowed: bool) -> None:
        connection.close()
        name = urlsplit(self._url).path.removeprefix("/")
        with psycopg.connect(servers.database_url(), autocommit=True) as server:
            server.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {is_allowed}".encode())
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    def kill_broker(self) -> None:
        """Redis is gone."""
        self._broker.kill()

    def start_broker(self) -> None:
        """It is back, empty."""
        self._broker.start()

    def go_round(self, now: datetime) -> None:
        """The work of beat and the workers, and the scrape that finds it."""
        if self.has_database and self.has_beat:
            PeriodicTask.objects.filter(task=task_names.SWEEP).update(last_run_at=timezone.now())
        if self.has_database and self.has_workers:
            _ = tasks.sweep() if self.has_beat else tasks.recover()
            wait_for_runs()
        exposition.collector.forget()
        self.told.tell(exposition.text(), now)


def wait_for_runs() -> None:
    """The runs under way are worked off by the embedded engine."""
    give_up = time.perf_counter() + PATIENCE
    while Run.objects.under_way().exists():
        assert time.perf_counter() < give_up
        time.sleep(0.02)


def script(week: Week) -> list[tuple[datetime, str, Callable[[], object]]]:
    """What happens, when."""

    def go(part: str, *, is_there: bool) -> Callable[[], object]:
        return lambda: setattr(week, f"has_{part}", is_there)

    return [
        (at(0, 9), "FINRA publishes Tier 1, and neither Tier 2 nor OTC", lambda: week.publish(IN_TIME)),
        (at(1, 2), "the workers die", go("workers", is_there=False)),
        (at(1, 6), "the workers are back", go("workers", is_there=True)),
        (at(2, 9), "beat dies", go("beat", is_there=False)),
        (at(2, 14), "beat is back", go("beat", is_there=True)),
        (at(3, 2), "Redis dies", week.kill_broker),
        (at(3, 4), "Redis is back", week.start_broker),
        (at(3, 14), "a payload is lost", week.lose_payload),
        (at(3, 20), "the database takes no connections", week.refuse_connections),
        (at(3, 22), "the database is back", week.take_connections),
        (at(4, 1), "the payload comes back from the backup", week.bring_payload_back),
        (at(4, 9), "FINRA publishes Tier 2 and OTC, four days late", lambda: week.publish(*LATE)),
        (at(4, 15), "the metrics are away", lambda: setattr(week.told, "is_away", True)),
        (at(4, 17), "the metrics are back", lambda: setattr(week.told, "is_away", False)),
    ]


# The alert; when its condition begins; within how long it fires; over by. Prometheus's time goes on while work takes none,
# so that a condition may have lasted long enough early. While the ledger cannot be read the last signs of life
# grow old: LedgerUnreadable inhibits these.
EXPECTED = [
    ("WeekNotReady", at(0, 0), hours(25), at(4, 11)),
    ("WorkersSilent", at(1, 2), hours(1), at(3, 22, 30)),
    ("ScheduledRunFailing", at(1, 10, 30), hours(30), at(4, 11)),
    ("PartitionOverdue", at(1, 12), hours(3), at(4, 11)),
    ("BeatSilent", at(2, 9, 15), hours(1), at(3, 22, 30)),
    ("ScheduleMissed", at(2, 11, 30), hours(1), at(2, 14, 30)),
    ("BrokerDown", at(3, 2), hours(1), at(3, 4, 30)),
    ("PartitionLongOverdue", at(3, 12), hours(3), at(4, 11)),
    ("ArchiveDamaged", at(3, 14), hours(1), at(4, 1, 30)),
    ("LedgerUnreadable", at(3, 20), hours(1), at(3, 22, 30)),
    ("MetricsStale", at(3, 20, 30), hours(1), at(3, 22, 30)),
    ("NoScheduledSuccess", at(4, 6), hours(2), at(4, 11)),
    ("Down", at(4, 14, 30), hours(2), at(4, 17, 30)),  # the metrics that are away tell the time, too
]


def live(week: Week, clock: Clock) -> None:
    """The week, until Friday evening."""
    to_come = script(week)
    while clock.now < at(4, 20):
        with time_machine.travel(clock.now, tick=False):
            while to_come and to_come[0][0] <= clock.now:
                _, what, happens = to_come.pop(0)
                print(f"{clock.now.astimezone(NEW_YORK):%a %H:%M}  {what}", flush=True)
                happens()
            week.go_round(clock.now)
        clock.go_on()


@contextmanager
def weeks_before(source_dir: Path) -> Iterator[None]:
    """All that was due by Sunday is captured, and the schedules owe nothing."""
    with time_machine.travel(SUNDAY, tick=False):
        for friday in look_back(6, SUNDAY.date()):
            for key in (PartitionKey(friday, tier) for tier in Tier):
                if is_due(key, SUNDAY.date()):
                    publish(source_dir, key)
        assert call("run_weekly").code == 0
        PeriodicTask.objects.filter(task=task_names.START_SCHEDULED).update(start_time=timezone.now())
        PeriodicTask.objects.filter(name__startswith="restatement").update(enabled=False)
        yield


@pytest.mark.usefixtures("few_rows")
def test_what_fires_in_a_bad_week_and_that_it_ends(
    engines: Engines, source_dir: Path, tmp_path: Path, settings: Settings
) -> None:
    with engines.using("postgresql") as ledger, servers.redis() as broker, exporter() as told:
        settings.CELERY_BROKER_URL = broker.url
        week = Week(source_dir, ledger.url, broker, told)
        with weeks_before(source_dir):
            week.go_round(SUNDAY)
        with prometheus(tmp_path, told) as server, embedded.engine():
            clock = Clock(SUNDAY)
            live(week, clock)
            fired = server.fired(clock)
            print(*Run.objects.order_by("pk"), sep="\n")
    for episode in fired:
        print(local(episode))
    check(fired)


def local(episode: Episode) -> Episode:
    """In New York's time."""
    end = episode.end.astimezone(NEW_YORK) if episode.end else None
    return Episode(episode.alert, episode.severity, episode.begin.astimezone(NEW_YORK), end)


def check(fired: list[Episode]) -> None:
    """Each alert came in its time and is over, and no other came. A scrape that a busy machine misses parts them."""
    assert {episode.alert for episode in fired} == {name for name, *_ in EXPECTED}
    for name, condition, most, over in EXPECTED:
        episodes = [local(episode) for episode in fired if episode.alert == name]
        assert condition <= episodes[0].begin <= condition + most, episodes[0]
        for episode in episodes:
            assert episode.end, episode
            assert episode.end <= over, episode
