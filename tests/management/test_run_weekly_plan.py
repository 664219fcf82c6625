"""What `run_weekly` plans: weeks, tiers, stages, and a dry run that says it beforehand."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import (
    Capture,
    Manifest,
    Partition,
    Stage,
)
from tests.management.calling import call
from tests.management.publications import (
    DAY,
    NEWER_WEEK,
    OLDER_WEEK,
    OTC,
    TIER_1,
    TIER_2,
    WEEK,
    capture_id,
    publish,
    publish_week,
    restate,
)
from tests.support.engines import Ledger
from tests.support.ledger_state import is_untouched_by

ONE_WEEK = ("--weeks", str(WEEK), "--run-date", str(DAY))
NEXT_DAY = date(2025, 12, 16)


@pytest.fixture
def week(source_dir: Path) -> Path:
    """The source folder, with all tiers of WEEK."""
    publish_week(source_dir)
    return source_dir


def test_the_run_date_names_the_capture_and_decides_what_is_due(ledger: Ledger, week: Path) -> None:
    # the second and third tier of the week are due on 2025-12-15
    early = call("run_weekly", "--weeks", WEEK, "--run-date", "2025-12-14", "--json").document
    assert [step["outcome"] for step in early["steps"]] == ["INGESTED", "NOT_YET_DUE", "NOT_YET_DUE"]
    assert early["exit_code"] == 0
    assert early["steps"][1]["reason"] == "FINRA publishes it on 2025-12-15"

    restate(week, TIER_1)
    later = call("run_weekly", *ONE_WEEK, "--json").document

    assert [step["capture_id"] for step in later["steps"]] == [capture_id(TIER_1), capture_id(TIER_2), capture_id(OTC)]
    assert Capture.objects.get(partition__tier=Tier.NMS_TIER_1, version=1).capture_id == capture_id(
        TIER_1, day=date(2025, 12, 14)
    )


def test_a_look_back_takes_the_same_weeks_of_every_tier(ledger: Ledger, source_dir: Path) -> None:
    ran = call("run_weekly", "--lookback-weeks", 2, "--run-date", DAY, "--mode", "dry-run", "--json")

    planned = {(step["week_ending"], step["tier"]): step["action"] for step in ran.document["plan"]}
    due = {key for key, action in planned.items() if action == "INGEST"}
    assert due == {
        ("2025-11-28", "NMS_TIER_1"),
        ("2025-11-21", "NMS_TIER_1"),
        *((week, tier) for week in ("2025-11-14", "2025-11-07") for tier in Tier),
    }
    waiting = {key for key, action in planned.items() if action == "NOT_YET_DUE"}
    assert waiting == {
        *(("2025-12-12", tier) for tier in Tier),
        *(("2025-12-05", tier) for tier in Tier),
        *((week, tier) for week in ("2025-11-28", "2025-11-21") for tier in ("NMS_TIER_2", "OTC")),
    }


def test_the_look_back_is_six_weeks_eight_of_tier_1(ledger: Ledger, source_dir: Path) -> None:
    plan = call("run_weekly", "--run-date", DAY, "--mode", "dry-run", "--json").document["plan"]

    assert sum(step["action"] == "INGEST" for step in plan) == 6 * 3 + 2


def test_only_the_tiers_asked_for_are_worked_on(ledger: Ledger, week: Path) -> None:
    ran = call("run_weekly", *ONE_WEEK, "--tiers", "OTC,t1", "--json")

    assert [step["tier"] for step in ran.document["steps"]] == ["NMS_TIER_1", "OTC"]
    assert ran.code == 0


@pytest.mark.promise(7)
def test_a_dry_run_writes_nothing_and_lists_what_the_run_then_does(ledger: Ledger, week: Path) -> None:
    call("run_weekly", *ONE_WEEK)
    restate(week, OTC)
    publish(week, PartitionKey(OLDER_WEEK, Tier.OTC))
    both = ("--weeks", f"{WEEK},{OLDER_WEEK},{NEWER_WEEK}", "--run-date", str(DAY))

    assert is_untouched_by(lambda: call("run_weekly", *both, "--mode", "dry-run"))
    plan = call("run_weekly", *both, "--mode", "dry-run", "--json").document["plan"]
    done = call("run_weekly", *both, "--json").document["steps"]

    assert [(s["week_ending"], s["tier"], s["action"]) for s in plan] == [
        (s["week_ending"], s["tier"], s["action"]) for s in done
    ]
    assert [step["reason"] for step in plan] == [
        "due since 2025-12-15, not there: late",
        "FINRA publishes it on 2025-12-29",
        "FINRA publishes it on 2025-12-29",
        "look for a restatement of version 1",
        "look for a restatement of version 1",
        "look for a restatement of version 1",
        "due since 2025-11-24, not there: late",
        "due since 2025-12-08, not there: late",
        "first capture",
    ]
    assert [step["outcome"] for step in done] == [
        "LATE",
        "NOT_YET_DUE",
        "NOT_YET_DUE",
        "UNCHANGED",
        "UNCHANGED",
        "RESTATED",
        "LATE",
        "LATE",
        "INGESTED",
    ]


@pytest.mark.promise(7)
@pytest.mark.parametrize("stage", ["ingest", "normalize", "calc"])
def test_a_dry_run_of_one_stage_writes_nothing(ledger: Ledger, week: Path, stage: str) -> None:
    dry = ("--only-stage", stage, "--mode", "dry-run")

    assert is_untouched_by(lambda: call("run_weekly", *ONE_WEEK, *dry))


def test_a_dry_run_prints_the_plan_as_a_table(ledger: Ledger, source_dir: Path) -> None:
    publish(source_dir, OTC)

    ran = call("run_weekly", *ONE_WEEK, "--tiers", "OTC", "--mode", "dry-run")

    assert ran.code == 0
    assert ran.lines == [
        "Plan:",
        "  week ending  tier  action  why",
        "  2025-11-14   OTC   INGEST  first capture",
    ]


def test_the_stages_one_by_one_end_where_a_whole_run_does(ledger: Ledger, week: Path) -> None:
    archived = call("run_weekly", *ONE_WEEK, "--only-stage", "ingest", "--json").document
    assert archived["ingestion"]["ingested"] == 3
    assert (archived["normalization"]["normalized"], archived["analytics"]["skipped"]) == (0, 1)
    assert set(Manifest.objects.values_list("stage", flat=True)) == {Stage.RAW}
    assert Partition.objects.filter(latest__isnull=False).count() == 0

    stored = call("run_weekly", *ONE_WEEK, "--only-stage", "normalize", "--json").document
    assert [step["reason"] for step in stored["steps"]] == ["rows of 1 archived capture(s) stored"] * 3
    assert (stored["normalization"]["normalized"], stored["analytics"]["skipped"]) == (3, 1)

    again = call("run_weekly", *ONE_WEEK, "--only-stage", "normalize", "--json").document
    assert again["normalization"] == {"normalized": 0, "unchanged": 3, "failed": 0}

    computed = call("run_weekly", *ONE_WEEK, "--only-stage", "calc", "--json").document
    assert computed["analytics"]["computed"] == 1
    assert computed["readiness"]["trading"]["READY"] == 1
    assert [document["exit_code"] for document in (archived, stored, computed)] == [0, 0, 0]


def test_only_stage_normalize_and_calc_do_not_need_the_source(ledger: Ledger, week: Path, tmp_path: Path) -> None:
    call("run_weekly", *ONE_WEEK)
    nowhere = ("--source-dir", str(tmp_path / "nowhere"))

    read = call("run_weekly", *ONE_WEEK, *nowhere, "--only-stage", "normalize")
    computed = call("run_weekly", *ONE_WEEK, *nowhere, "--only-stage", "calc")

    assert (read.code, computed.code) == (0, 0)
    assert read.lines[0].endswith("UNCHANGED    unchanged: the archived payload reads as the same rows")
    assert Capture.objects.count() == 3
