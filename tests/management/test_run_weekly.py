"""`run_weekly`, from its arguments to its exit code, on real files."""

from __future__ import annotations

import errno
import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.management.progress import InOrder
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Capture,
    CaptureKind,
    Category,
    Partition,
    Run,
    RunStatus,
)
from pipeline.runs import lifecycle
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from tests.management.calling import call, manage
from tests.management.publications import (
    DAY,
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
from tests.support.ledger_state import ledger_state

ONE_WEEK = ("--weeks", str(WEEK), "--run-date", str(DAY))
NEXT_DAY = date(2025, 12, 16)


@pytest.fixture
def week(source_dir: Path) -> Path:
    """The source folder, with all tiers of WEEK."""
    publish_week(source_dir)
    return source_dir


def test_a_first_run_prints_partitions_then_the_summary(ledger: Ledger, week: Path) -> None:
    ran = call("run_weekly", *ONE_WEEK)

    assert ran.code == 0
    assert ran.err == ""
    assert ran.lines == [
        "2025-11-14 NMS_TIER_1  INGESTED     first capture: 4 rows; finra.otc_transparency:NMS_TIER_1:2025-11-14:20251215",
        "2025-11-14 NMS_TIER_2  INGESTED     first capture: 4 rows; finra.otc_transparency:NMS_TIER_2:2025-11-14:20251215",
        "2025-11-14 OTC         INGESTED     first capture: 4 rows; finra.otc_transparency:OTC:2025-11-14:20251215",
        "Run 1, 2025-12-15, SUCCEEDED:",
        "                         result",
        "  Weeks                  1: 2025-11-14 to 2025-11-14",
        "  Partitions             3 total, 3 due",
        "  Ingestion              3 ingested, 0 restated, 0 forced, 0 unchanged, 0 not offered, 0 refused, 0 late, 0 failed",
        "  Normalization          3 normalized, 0 unchanged, 0 failed",
        "  Analytics              1 computed, 0 unchanged, 0 skipped, 0 failed",
        "  Readiness, trading     1 READY",
        "  Readiness, compliance  1 READY",
        "  Readiness, research    1 READY",
        "  Open anomalies         0 INFO, 0 WARN, 0 ERROR, 0 CRITICAL",
        "  Exit code              0 (every due partition is good)",
        "Next:",
        "  python manage.py doctor",
        "      every week: what is captured, and what may be used",
        "  python manage.py show_capture finra.otc_transparency:NMS_TIER_1:2025-11-14:20251215",
        "      one vintage: its figures, and where it came from",
        "  python manage.py serve",
        "      the dashboard, on http://127.0.0.1:8000",
    ]


def test_a_disk_that_is_full_when_a_week_is_closed_ends_the_command_with_a_sentence(
    ledger: Ledger, week: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_of: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "analytics/one.parquet")

    monkeypatch.setattr("pipeline.engine.sweeper.SWEEP_SECONDS", 0)
    monkeypatch.setattr("pipeline.engine.sweeper.LOST_AFTER", timedelta(0))
    with monkeypatch.context() as patched:
        patched.setattr("pipeline.weeks.symbols.write", full)
        ran = call("run_weekly", *ONE_WEEK)

    assert (ran.code, Run.objects.get().status) == (1, "INTERRUPTED")
    told = "analytics/one.parquet: No space left on device; the disk is full: free space on it"
    assert f"run {Run.objects.get().pk} stopped: {told}, then the same command goes on" in " ".join(ran.err.split())
    assert call("run_weekly", *ONE_WEEK).code == 0
    assert Run.objects.get().status == "SUCCEEDED"


def test_what_is_not_yet_due_is_one_line_of_the_summary(ledger: Ledger, week: Path) -> None:
    ran = call("run_weekly", "--weeks", WEEK, "--run-date", "2025-12-14")
    assert [line for line in ran.lines if line.startswith("2025-11-14")] == [
        "2025-11-14 NMS_TIER_1  INGESTED     first capture: 4 rows; finra.otc_transparency:NMS_TIER_1:2025-11-14:20251214"
    ]
    assert "  Partitions             3 total, 1 due" in ran.lines
    assert "  Not yet due            2; the next is NMS_TIER_2 of 2025-11-14, on 2025-12-15" in ran.lines


def test_partitions_are_told_of_in_the_plans_order_whichever_is_done_first(ledger: Ledger) -> None:
    keys = [PartitionKey(WEEK, tier) for tier in Tier]
    run = lifecycle.start(make_plan(Request(command="run_weekly", run_date=DAY, weeks=(WEEK,)), set(keys)))
    told: list[str] = []
    progress = InOrder(run, lambda step: told.append(step.partition.tier))
    first, second, third = run.partitions.select_related("partition").order_by("pk")
    progress(third)
    assert told == []
    progress(first)
    assert told == ["NMS_TIER_1"]
    progress.finish()
    assert told == ["NMS_TIER_1", "OTC"]
    progress(second)
    assert told == ["NMS_TIER_1", "OTC", "NMS_TIER_2"]


@pytest.mark.promise(2, 8)
def test_a_second_run_finds_all_unchanged_and_adds_nothing(ledger: Ledger, week: Path) -> None:
    call("run_weekly", *ONE_WEEK)
    before = ledger_state()

    ran = call("run_weekly", *ONE_WEEK)

    assert ran.code == 0
    assert ran.lines[:3] == [
        "2025-11-14 NMS_TIER_1  UNCHANGED    unchanged: the same bytes as captured",
        "2025-11-14 NMS_TIER_2  UNCHANGED    unchanged: the same bytes as captured",
        "2025-11-14 OTC         UNCHANGED    unchanged: the same bytes as captured",
    ]
    assert (
        "  Ingestion              0 ingested, 0 restated, 0 forced, 3 unchanged, 0 not offered, 0 refused, 0 late, 0 failed"
        in ran.lines
    )
    assert "  Analytics              0 computed, 1 unchanged, 0 skipped, 0 failed" in ran.lines
    assert ledger_state() == before


def test_the_summary_as_one_document(ledger: Ledger, week: Path) -> None:
    (week / "otc_week_2025-11-14.psv").unlink()

    ran = call("run_weekly", *ONE_WEEK, "--json")

    summary = ran.document
    assert ran.code == summary["exit_code"] == 1
    assert list(summary) == [
        "run",
        "status",
        "exit_code",
        "run_date",
        "weeks",
        "partitions",
        "ingestion",
        "normalization",
        "analytics",
        "readiness",
        "anomalies",
        "archive",
        "steps",
    ]
    assert (summary["status"], summary["run_date"], summary["weeks"]) == ("FAILED", "2025-12-15", ["2025-11-14"])
    assert summary["partitions"] == {"total": 3, "due": 3, "not_yet_due": 0}
    assert summary["ingestion"] == {
        "ingested": 2,
        "restated": 0,
        "forced": 0,
        "unchanged": 0,
        "not_offered": 0,
        "refused": 0,
        "late": 1,
        "failed": 0,
    }
    assert summary["readiness"]["trading"] == {"READY": 0, "PROVISIONAL": 0, "AWAITING_PUBLICATION": 0, "BLOCKED": 1}
    assert summary["anomalies"] == {"INFO": 0, "WARN": 1, "ERROR": 0, "CRITICAL": 0}
    assert summary["steps"][0] == {
        "week_ending": "2025-11-14",
        "tier": "NMS_TIER_1",
        "action": "INGEST",
        "outcome": "INGESTED",
        "reason": "first capture: 4 rows",
        "capture_id": "finra.otc_transparency:NMS_TIER_1:2025-11-14:20251215",
    }
    assert summary["steps"][2]["capture_id"] is None


def test_a_due_partition_that_lacks_is_late_and_fails(ledger: Ledger, source_dir: Path) -> None:
    publish(source_dir, TIER_1)
    publish(source_dir, TIER_2)

    ran = call("run_weekly", *ONE_WEEK)

    assert ran.code == 1
    assert ran.lines[2].startswith(
        "2025-11-14 OTC         LATE         the source folder has no otc_week_2025-11-14.psv"
    )
    at = ran.lines.index("Next:")
    assert ran.lines[at - 1 : at + 3] == [
        "  Exit code              1 (see above)",
        "Next:",
        "  python manage.py doctor",
        "      what is missing or failed, and the command that repairs it",
    ]
    assert [a.category for a in Anomaly.objects.open()] == [Category.LATE]
    older = call("run_weekly", "--weeks", "2025-08-01", "--tiers", "OTC", "--run-date", DAY)
    assert "  python manage.py doctor --lookback-weeks 16" in older.lines


def test_a_late_partition_that_comes_is_not_late_any_more(ledger: Ledger, week: Path) -> None:
    (week / "otc_week_2025-11-14.psv").unlink()
    assert call("run_weekly", *ONE_WEEK).code == 1
    publish(week, OTC)

    assert call("run_weekly", *ONE_WEEK).code == 0

    late = Anomaly.objects.get()
    assert (late.resolved_by, late.note) == ("marketspine", f"run 2: captured as {capture_id(OTC)}")


@pytest.mark.promise(1)
def test_a_second_capture_on_one_day_is_numbered_and_the_first_stays(ledger: Ledger, week: Path) -> None:
    call("run_weekly", *ONE_WEEK)
    restate(week, OTC)

    ran = call("run_weekly", *ONE_WEEK)

    assert ran.code == 0
    assert ran.lines[2].startswith("2025-11-14 OTC         RESTATED     content changed (")
    assert ran.lines[2].endswith("): +0 rows, 1 changed, 0 gone; lastUpdateDate newer; " + capture_id(OTC, 2))
    assert list(Capture.objects.filter(partition__tier=Tier.OTC).order_by("pk").values_list("capture_id")) == [
        (capture_id(OTC),),
        (capture_id(OTC, 2),),
    ]


@pytest.mark.promise(1, 4)
def test_a_withdrawn_file_leaves_its_capture(ledger: Ledger, week: Path) -> None:
    call("run_weekly", *ONE_WEEK)
    (week / "otc_week_2025-11-14.psv").unlink()

    ran = call("run_weekly", *ONE_WEEK)

    assert ran.code == 0
    assert ran.lines[2] == (
        "2025-11-14 OTC         NOT_OFFERED  the source does not offer it (any more): version 1 stays"
    )
    assert Partition.objects.get(tier=Tier.OTC).newest_version == 1


@pytest.mark.promise(4)
def test_a_shrunk_file_is_refused_until_an_operator_forces_it(ledger: Ledger, week: Path) -> None:
    call("run_weekly", *ONE_WEEK)
    publish(week, OTC, content(OTC, ROWS[:2]))

    refused = call("run_weekly", *ONE_WEEK)
    assert refused.code == 1
    assert refused.lines[2] == (
        "2025-11-14 OTC         REFUSED      restates 50% of the 4 rows held, more than the 25% allowed: "
        "0 changed, +0, 2 gone; check otc_week_2025-11-14.psv; if it is right all the same, force it"
    )
    forced = call("run_weekly", *ONE_WEEK, "--tiers", "OTC", "--force", "--reason", "two venues left")

    assert forced.code == 0
    capture = Capture.objects.get(capture_id=capture_id(OTC, 2))
    assert (capture.kind, capture.request_reason, capture.rows_removed) == (CaptureKind.FORCED, "two venues left", 2)
    assert capture.reason.startswith("forced; content changed (")


def test_force_captures_even_what_is_unchanged(ledger: Ledger, week: Path) -> None:
    call("run_weekly", *ONE_WEEK)

    assert call("run_weekly", *ONE_WEEK, "--force", "--reason", "audit").code == 0

    assert Capture.objects.filter(kind=CaptureKind.FORCED, rows_unchanged=4).count() == 3
    assert AnalyticsSnapshot.objects.count() == 2


def test_source_dir_names_another_folder(ledger: Ledger, source_dir: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    publish(other, OTC)

    assert call("run_weekly", *ONE_WEEK, "--tiers", "OTC", "--source-dir", other).code == 0
    assert call("run_weekly", *ONE_WEEK, "--tiers", "OTC", "--source-dir", source_dir).code == 1
    assert Run.objects.count() == 2


def test_the_ledger_keeps_who_asked_and_why(ledger: Ledger, week: Path) -> None:
    call("run_weekly", *ONE_WEEK, "--reason", "month end")

    run = Run.objects.get()
    assert (run.command, run.reason, run.status) == ("run_weekly", "month end", RunStatus.SUCCEEDED)
    assert run.requested_by
    assert run.parameters["origin"] == str(week)


def test_a_process_of_its_own_prints_and_exits_alike(ledger: Ledger, week: Path) -> None:
    first = manage(ledger, "run_weekly", *ONE_WEEK)
    assert (first.code, first.lines[0]) == (
        0,
        "2025-11-14 NMS_TIER_1  INGESTED     first capture: 4 rows; finra.otc_transparency:NMS_TIER_1:2025-11-14:20251215",
    )

    publish(week, OTC, b"<html>503 Service Unavailable</html>")
    second = manage(ledger, "run_weekly", *ONE_WEEK, "--json", "-v")

    assert second.code == 1
    assert json.loads(second.out)["ingestion"]["failed"] == 1
