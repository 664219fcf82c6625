"""`backfill`: a range of weeks, the missing or the failed ones of it, and an interrupted run gone on with."""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from celery.worker import state
from django.db import connection

from pipeline.engine import waiting
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture, Outcome, Run, RunPartition, RunStatus
from tests.management.calling import call
from tests.management.publications import (
    DAY,
    OLDER_WEEK,
    OTC,
    ROWS,
    TIER_1,
    TIER_2,
    WEEK,
    capture_id,
    content,
    publish,
    publish_week,
    restate,
)
from tests.support.engines import Ledger
from tests.support.failing import acting_at
from tests.support.ledger_state import is_untouched_by

RANGE = ("--from", str(OLDER_WEEK), "--to", str(WEEK), "--run-date", str(DAY))


@pytest.fixture
def weeks(source_dir: Path) -> Path:
    """The source folder, with all tiers of two weeks."""
    publish_week(source_dir)
    publish_week(source_dir, OLDER_WEEK)
    return source_dir


def interrupt() -> None:
    """Let the operator press Ctrl-C while a partition is under way: it is finished."""
    _thread.interrupt_main()
    while state.should_stop is None:
        time.sleep(0.001)


def outcomes(document: dict[str, list[dict[str, str]]]) -> list[tuple[str, str, str]]:
    """Week, tier and outcome of each step."""
    return [(step["week_ending"], step["tier"], step["outcome"]) for step in document["steps"]]


def test_a_range_is_planned_aloud_then_captured_newest_week_first(ledger: Ledger, weeks: Path) -> None:
    ran = call("backfill", *RANGE, "--tiers", "OTC,NMS_TIER_1")

    assert ran.code == 0
    assert ran.lines[:9] == [
        "Plan:",
        "  week ending  tier        action  why",
        "  2025-11-14   NMS_TIER_1  INGEST  first capture",
        "  2025-11-14   OTC         INGEST  first capture",
        "  2025-11-07   NMS_TIER_1  INGEST  first capture",
        "  2025-11-07   OTC         INGEST  first capture",
        "2025-11-14 NMS_TIER_1  INGESTED     first capture: 4 rows; finra.otc_transparency:NMS_TIER_1:2025-11-14:20251215",
        "2025-11-14 OTC         INGESTED     first capture: 4 rows; finra.otc_transparency:OTC:2025-11-14:20251215",
        "2025-11-07 NMS_TIER_1  INGESTED     first capture: 4 rows; finra.otc_transparency:NMS_TIER_1:2025-11-07:20251215",
    ]
    assert "  Weeks                  2: 2025-11-07 to 2025-11-14" in ran.lines


def test_a_list_of_weeks_instead_of_a_range(ledger: Ledger, weeks: Path) -> None:
    ran = call("backfill", "--weeks", f"{OLDER_WEEK},{WEEK}", "--run-date", DAY, "--json")

    assert ran.code == 0
    assert ran.document["weeks"] == ["2025-11-14", "2025-11-07"]


@pytest.mark.promise(7)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_dry_run_writes_nothing(ledger: Ledger, weeks: Path, form: tuple[str, ...]) -> None:
    assert is_untouched_by(lambda: call("backfill", *RANGE, "--mode", "dry-run", *form))


@pytest.mark.promise(7)
def test_a_dry_run_lists_the_steps_that_the_run_takes(ledger: Ledger, weeks: Path) -> None:
    plan = call("backfill", *RANGE, "--mode", "dry-run", "--json").document["plan"]
    steps = call("backfill", *RANGE, "--json").document["steps"]

    assert [tuple(step.values()) for step in plan] == [
        (step["week_ending"], step["tier"], "INGEST", "first capture") for step in steps
    ]
    assert len(steps) == 6


def test_only_missing_takes_the_partitions_never_captured(ledger: Ledger, weeks: Path) -> None:
    call("run_weekly", "--weeks", WEEK, "--tiers", "OTC,T1", "--run-date", DAY)

    ran = call("backfill", *RANGE, "--only", "missing", "--json")

    assert outcomes(ran.document) == [
        ("2025-11-14", "NMS_TIER_2", "INGESTED"),
        ("2025-11-07", "NMS_TIER_1", "INGESTED"),
        ("2025-11-07", "NMS_TIER_2", "INGESTED"),
        ("2025-11-07", "OTC", "INGESTED"),
    ]


def test_only_failed_takes_those_whose_last_try_went_wrong(ledger: Ledger, weeks: Path) -> None:
    call("backfill", *RANGE)
    publish(weeks, OTC, b"<html>")
    publish(weeks, TIER_2, content(TIER_2, ROWS[:1]))
    failed = call("backfill", *RANGE, "--json")
    assert failed.code == 1
    publish(weeks, OTC)
    restate(weeks, TIER_2)

    ran = call("backfill", *RANGE, "--only", "failed", "--json")

    assert ran.code == 0
    assert outcomes(ran.document) == [("2025-11-14", "NMS_TIER_2", "RESTATED"), ("2025-11-14", "OTC", "UNCHANGED")]
    assert outcomes(call("backfill", *RANGE, "--only", "failed", "--json").document) == []


@pytest.mark.parametrize("stage", ["normalize", "calc"])
def test_a_refused_file_stays_failed_whatever_is_read_or_calculated_again(
    ledger: Ledger, weeks: Path, stage: str
) -> None:
    call("backfill", *RANGE)
    publish(weeks, OTC, content(OTC, ROWS[:1]))
    call("backfill", *RANGE)

    assert call("run_weekly", "--weeks", WEEK, "--run-date", DAY, "--only-stage", stage).code == 1

    plan = call("backfill", *RANGE, "--only", "failed", "--mode", "dry-run", "--json").document["plan"]
    assert [(step["week_ending"], step["tier"]) for step in plan] == [("2025-11-14", "OTC")]


def test_nothing_to_take_is_no_failure(ledger: Ledger, weeks: Path) -> None:
    call("backfill", *RANGE)

    ran = call("backfill", *RANGE, "--only", "missing")

    assert ran.code == 0
    assert "  Partitions             0 total, 0 due" in ran.lines
    assert "  Weeks                  0: none" in ran.lines


def test_force_captures_all_of_the_range_again(ledger: Ledger, weeks: Path) -> None:
    call("backfill", *RANGE)

    ran = call("backfill", *RANGE, "--tiers", "OTC", "--force", "--reason", "a second look")

    assert ran.code == 0
    assert Capture.objects.get(capture_id=capture_id(OTC, 2)).request_reason == "a second look"
    assert Capture.objects.count() == 8


@pytest.mark.promise(9)
def test_an_interrupted_backfill_is_gone_on_with(ledger: Ledger, weeks: Path) -> None:
    with acting_at("perform.before", interrupt, 2):
        stopped = call("backfill", *RANGE)
    assert stopped.code == 1
    assert "stopped; what was finished is kept, the same command goes on" in stopped.err
    assert Run.objects.get().status == RunStatus.INTERRUPTED

    ran = call("backfill", *RANGE)

    assert ran.code == 0
    assert ran.lines[2:7] == [
        "  2025-11-14   OTC         INGEST  first capture",
        "  2025-11-07   NMS_TIER_1  INGEST  first capture",
        "  2025-11-07   NMS_TIER_2  INGEST  first capture",
        "  2025-11-07   OTC         INGEST  first capture",
        "Resuming run 1: 2 of 6 partitions are done.",
    ]
    assert RunPartition.objects.filter(run=1, outcome=Outcome.INGESTED, attempts=1).count() == 6


def test_ctrl_c_in_the_midst_of_a_query_marks_the_run_interrupted(
    ledger: Ledger, weeks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ledger.engine != "postgresql":
        pytest.skip("SQLite's queries are over when the interpreter goes on")

    def stop_in_a_query(run: Run, worker: str) -> bool:
        connection.ensure_connection()
        connection.connection.pgconn.send_query(b"SELECT 1")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(waiting, "_poll", stop_in_a_query)
        stopped = call("backfill", *RANGE)

    assert stopped.code == 1
    assert Run.objects.get().status == RunStatus.INTERRUPTED
    assert call("backfill", *RANGE).code == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda other: ("--tiers", "OTC"),
        lambda other: ("--force",),
        lambda other: ("--source-dir", str(other)),
        lambda other: ("--only", "missing"),
        lambda other: ("--reason", "another"),
    ],
    ids=["tiers", "force", "source folder", "only", "reason"],
)
def test_another_request_does_not_go_on_with_the_interrupted_one(
    ledger: Ledger,
    weeks: Path,
    tmp_path: Path,
    change: Callable[[Path], tuple[str, ...]],
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    publish(other, TIER_1, content(TIER_1, ROWS[:3]))
    with acting_at("perform.before", interrupt, 2):
        call("backfill", *RANGE)

    call("backfill", *RANGE, *change(other))

    assert Run.objects.get(pk=1).status == RunStatus.INTERRUPTED
    assert Run.objects.count() == 2


def test_a_run_that_has_ended_since_is_not_gone_back_behind(ledger: Ledger, weeks: Path) -> None:
    with acting_at("perform.before", interrupt, 2):
        call("backfill", *RANGE)
    call("backfill", *RANGE)
    restate(weeks, PartitionKey(WEEK, Tier.NMS_TIER_1))

    ran = call("backfill", *RANGE, "--json")

    assert ran.document["run"] == 2
    assert outcomes(ran.document)[0] == ("2025-11-14", "NMS_TIER_1", "RESTATED")
