"""The removal of a pruned capture, against an ingest of the same partition: both end right, whichever comes first."""

from __future__ import annotations

import time

import pytest
from django.db import connection, transaction
from django.utils import timezone

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.keeping import removal
from pipeline.models import Capture, EntryState, PruneEntry, PrunePlan, Run, RunStatus
from pipeline.vintages import archive, read
from pipeline.vintages.read import Pruned
from tests.faults.conftest import Work
from tests.faults.stopping import stopped_worker
from tests.management.publications import OLDER_WEEK, publish, restate
from tests.support.fleet import PATIENCE, Fleet

KEY = PartitionKey(OLDER_WEEK, Tier.OTC)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def version(number: int) -> Capture:
    """A capture of the partition."""
    return Capture.objects.get(partition__week_ending=OLDER_WEEK, partition__tier=Tier.OTC, version=number)


def shares(number: int) -> dict[str, str]:
    """The shares of a vintage by symbol and MPID."""
    rows = read.of_capture(version(number)).select("symbol", "mpid", "shares").collect().rows()
    return {f"{symbol} {mpid}": f"{shares:.0f}" for symbol, mpid, shares in rows}


def prune_the_first() -> None:
    """Remove the first vintage and its payload, as a removal does that has begun before the run."""
    first, now = version(1), timezone.now()
    window = {"state": "MARKED", "marked_at": now, "remove_after": now}
    plan = PrunePlan.objects.create(made_at=now, policy={}, captures=2, prunable=1, prunable_bytes=0, **window)
    paths = [first.vintage_path, archive.path_of(first.payload_sha256)]
    PruneEntry.objects.create(
        plan=plan, capture=first, state=EntryState.REMOVING, with_payload=True, files=paths, settled_at=now
    )
    Capture.objects.filter(pk=first.pk).update(pruned_at=now)
    assert [one.state for one in removal.remove_due()] == [EntryState.REMOVED]


def until_the_worker_waits() -> None:
    """Until another session waits for a lock."""
    give_up = time.monotonic() + PATIENCE
    while True:
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone()[0]:
                return
        assert time.monotonic() < give_up, "the worker never waits for the lock"
        time.sleep(0.01)


@pytest.fixture
def restated_again(fleet: Fleet, work: Work) -> Run:
    """A run under way that is to capture the partition for the third time, and no other."""
    worker = fleet.worker()
    fleet.heal(work.launch())
    assert fleet.end(worker) == 0
    restate(work.source, KEY, shares="102")
    return work.launch()


def check_both_were_done(run: Run) -> None:
    """The third vintage is stored against the second, which is whole; the first is an error, not the closest."""
    assert run.status == RunStatus.SUCCEEDED
    assert (version(3).rows_changed, version(3).rows_unchanged) == (1, 3)
    assert (shares(2)["AAPL UBSA"], shares(3)["AAPL UBSA"]) == ("101", "102")
    assert [len(shares(number)) for number in (2, 3)] == [4, 4]
    with pytest.raises(Pruned):
        read.of_capture(version(1))


@pytest.mark.promise(1, 5, 10)
def test_pruned_before_the_ingest_stores(fleet: Fleet, restated_again: Run) -> None:
    with stopped_worker(fleet, "commit.before 1"), transaction.atomic():
        prune_the_first()

    check_both_were_done(fleet.heal(restated_again))


@pytest.mark.promise(1, 9)
def test_an_ingest_archives_a_payload_that_goes_again(fleet: Fleet, work: Work) -> None:
    """The source has the first publication again. Its payload is there when the ingest looks, and gone when it commits."""
    worker = fleet.worker()
    fleet.heal(work.launch())
    assert fleet.end(worker) == 0
    publish(work.source, KEY)
    run = work.launch()
    with stopped_worker(fleet, "commit.transaction.before 1"):
        prune_the_first()

    assert fleet.heal(run).status == RunStatus.SUCCEEDED
    assert version(3).payload_sha256 == version(1).payload_sha256
    assert len(shares(3)) == 4
    assert archive.is_whole(version(3).payload_sha256)


@pytest.mark.promise(1, 5, 10)
def test_an_ingest_waits_for_a_prune_under_way(fleet: Fleet, restated_again: Run) -> None:
    with transaction.atomic():
        prune_the_first()
        with stopped_worker(fleet, "commit.before 1"):
            pass
        until_the_worker_waits()

    check_both_were_done(fleet.heal(restated_again))
