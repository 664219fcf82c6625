"""The check-up: verdicts change as days pass, and what is wrong is in the log."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.calendar import PartitionKey, Tier
from pipeline.checkup import check_up
from pipeline.models import Readiness, Run
from tests.commands.calling import call
from tests.commands.publications import DAY, NEWER_WEEK, publish, publish_week
from tests.engines import Ledger

LATER = date(2026, 1, 5)  # all tiers of the newer week have become due meanwhile


def verdict(week: date) -> str:
    """What is said of a week, for trading."""
    return Readiness.objects.get(week_ending=week, use="trading").state


def test_a_tier_that_has_become_due_blocks_its_week(ledger: Ledger, source_dir: Path) -> None:
    publish(source_dir, PartitionKey(NEWER_WEEK, Tier.NMS_TIER_1))
    call("run_weekly", "--weeks", NEWER_WEEK, "--run-date", DAY)
    assert verdict(NEWER_WEEK) == "AWAITING_PUBLICATION"

    check_up(Run(run_date=LATER))

    assert verdict(NEWER_WEEK) == "BLOCKED"


def test_weeks_that_nobody_ever_judged_are_left_alone(ledger: Ledger, source_dir: Path) -> None:
    check_up(Run(run_date=LATER))
    assert not Readiness.objects.exists()


def test_what_the_doctor_finds_is_logged_with_what_repairs_it(
    ledger: Ledger, source_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_week(source_dir)
    diagnosis = check_up(Run(run_date=DAY))

    assert not diagnosis.is_healthy
    said = [record.getMessage() for record in caplog.records if record.name == "pipeline.checkup"]
    assert len(said) == len(diagnosis.findings)
    assert said[0].startswith("doctor: ")
    assert "| repaired by: python manage.py backfill --weeks " in said[0]
