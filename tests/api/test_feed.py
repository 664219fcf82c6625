"""The feed of restatements, followed over HTTP with one integer: each entry once, in order, whatever lands meanwhile."""

from __future__ import annotations

import threading

import pytest
from django.db import connections, transaction

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Anomaly, Capture, Category, FeedCounter, Severity
from pipeline.weeks import readiness
from tests.admin.vintages import captured, two_vintages
from tests.api.asking import API
from tests.api.following import Follower
from tests.management.publications import DAY, OTC, ROWS, WEEK, content
from tests.support.engines import Ledger

pytestmark = pytest.mark.usefixtures("few_rows")
PATIENCE = 120
TIER_1, TIER_2 = PartitionKey(WEEK, Tier.NMS_TIER_1), PartitionKey(WEEK, Tier.NMS_TIER_2)


def restated(key: PartitionKey, shares: str) -> Capture:
    """The next vintage of a partition: its first row has other shares."""
    (symbol, mpid, _, trades), *others = ROWS
    return captured(key, content(key, ((symbol, mpid, shares, trades), *others)), compute=False)


def test_an_empty_feed_has_a_next_address_too(ledger: Ledger) -> None:
    follower = Follower()
    found = follower.script.json("restatements")
    assert (found["data"], found["meta"]["has_more"], found["meta"]["next_after"]) == ([], False, 0)
    assert found["links"]["next"] == f"{API}restatements?after=0"
    assert follower.poll() == 0


def test_a_restatement_is_an_entry_with_its_figures(ledger: Ledger) -> None:
    follower = Follower()
    first, second = two_vintages()
    assert follower.poll() == 1
    [one] = follower.seen
    assert {name: one[name] for name in ("capture_id", "previous_capture_id", "kind", "cause", "tier")} == {
        "capture_id": second.capture_id,
        "previous_capture_id": first.capture_id,
        "kind": "RESTATEMENT",
        "cause": "SOURCE",
        "tier": "OTC",
    }
    assert (one["rows_added"], one["rows_changed"], one["rows_removed"]) == (1, 1, 1)
    assert (one["shares_before"], one["shares_after"]) == ("179.750000", "183.750001")
    assert follower.poll() == 0
    follower.check()


@pytest.mark.parametrize("page", [1, 2])
def test_the_feed_is_followed_in_pages_of_any_size(ledger: Ledger, page: int) -> None:
    follower = Follower(page)
    for key in (OTC, TIER_1):
        captured(key, content(key), compute=False)
    assert follower.poll() == 0
    for shares in ("101", "102", "103"):
        restated(OTC, shares)
    assert follower.poll() == 3
    restated(TIER_1, "104")
    assert (follower.poll(), follower.poll()) == (1, 0)
    follower.check()


def test_who_asks_for_a_cause_only_goes_on_behind_what_was_passed_over(ledger: Ledger) -> None:
    follower = Follower()
    two_vintages()
    found = follower.script.json("restatements", cause="FORCED")
    position = Capture.objects.get(version=2).position
    assert (found["data"], found["meta"]["next_after"]) == ([], position)
    assert found["links"]["next"] == f"{API}restatements?cause=FORCED&after={position}"


@pytest.mark.each_database
def test_complaint_03_what_commits_late_is_seen_once_and_nothing_is_passed_over(ledger: Ledger) -> None:
    """A restatement has its position and is not committed; another lands; whoever polls meanwhile misses neither."""
    follower = Follower()
    for key in (TIER_1, TIER_2):
        captured(key, content(key), compute=False)
    held, go_on = threading.Event(), threading.Event()

    def late() -> None:
        try:
            with transaction.atomic():
                FeedCounter.objects.take()
                held.set()
                assert go_on.wait(PATIENCE)
                transaction.set_rollback(True)  # it dies between its position and its commit
            restated(TIER_1, "101")
        finally:
            connections.close_all()

    def other() -> None:
        try:
            assert held.wait(PATIENCE)
            restated(TIER_2, "102")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=act) for act in (late, other)]
    for thread in threads:
        thread.start()
    assert held.wait(PATIENCE)
    if ledger.engine == "postgresql":  # SQLite has one writer, and the follower notes the use of its token
        assert follower.poll() == 0
    go_on.set()
    while any(thread.is_alive() for thread in threads):
        follower.poll()
    for thread in threads:
        thread.join(PATIENCE)
    follower.poll()
    assert len(follower.seen) == 2
    follower.check()


@pytest.mark.parametrize("page", [1, 2])
def test_verdicts_are_followed_beside_restatements_and_replay_to_what_readiness_says(ledger: Ledger, page: int) -> None:
    """Whoever follows both knows, of each verdict, which vintages it was passed on: those up to its position."""
    follower = Follower(page, "readiness/changes")
    captured(OTC, content(OTC))
    readiness.decide_week(WEEK, DAY)
    assert follower.poll() == 3
    restated(OTC, "101")
    assert follower.poll() == 0
    for key in (TIER_1, TIER_2):
        captured(key, content(key))
    readiness.decide_week(WEEK, DAY)
    assert follower.poll() == 3
    Anomaly.objects.record(Category.UNREADABLE, Severity.ERROR, "a torn page", week_ending=WEEK)
    readiness.decide_week(WEEK, DAY)
    assert (follower.poll(), follower.poll()) == (3, 0)

    positions = [one["position"] for one in follower.seen]
    assert positions == sorted(set(positions))
    of_trading = [one for one in follower.seen if one["use"] == "trading"]
    told = [(one["state_before"], one["state"], one["became_ready"], one["lost_ready"]) for one in of_trading]
    assert told == [
        (None, "BLOCKED", False, False),
        ("BLOCKED", "READY", True, False),
        ("READY", "BLOCKED", False, True),
    ]
    assert of_trading[-1]["reason_codes"] == ["UNREADABLE"]
    judged = follower.script.json("rows", position=of_trading[1]["position"], week_ending=str(WEEK), tier="OTC")
    assert "101.000000" in [row["shares"] for row in judged["data"]]
    verdicts = follower.script.json("readiness", week_ending=str(WEEK))["data"]
    assert {one["use"]: one["state"] for one in follower.seen} == {one["use"]: one["state"] for one in verdicts}
    only = follower.script.json("readiness/changes", use="trading", after=positions[2])
    assert [one["position"] for one in only["data"]] == [one["position"] for one in of_trading[1:]]
    assert follower.script.json("readiness/changes", week_ending="2025-11-07")["data"] == []
