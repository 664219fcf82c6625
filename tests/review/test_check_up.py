"""The check-up: verdicts change as days pass, and what is wrong is in the log."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Readiness
from pipeline.review import doctor
from pipeline.weeks import readiness
from tests.management.calling import call
from tests.management.publications import DAY, NEWER_WEEK, publish, publish_week
from tests.support.engines import Ledger

LATER = date(2026, 1, 5)  # all tiers of the newer week have become due meanwhile


def verdict(week: date) -> str:
    """What is said of a week, for trading."""
    return Readiness.objects.get(week_ending=week, use="trading").state


def test_a_tier_that_has_become_due_blocks_its_week(ledger: Ledger, source_dir: Path) -> None:
    publish(source_dir, PartitionKey(NEWER_WEEK, Tier.NMS_TIER_1))
    call("run_weekly", "--weeks", NEWER_WEEK, "--run-date", DAY)
    assert verdict(NEWER_WEEK) == "AWAITING_PUBLICATION"

    readiness.decide_again(6, LATER)

    assert verdict(NEWER_WEEK) == "BLOCKED"


def test_weeks_that_nobody_ever_judged_are_left_alone(ledger: Ledger, source_dir: Path) -> None:
    readiness.decide_again(6, LATER)
    assert not Readiness.objects.exists()


def test_what_the_doctor_finds_is_logged_with_what_repairs_it(
    ledger: Ledger, source_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_week(source_dir)
    diagnosis = doctor.diagnose(6, DAY)
    doctor.log_findings(diagnosis)

    assert not diagnosis.is_healthy
    said = [record.getMessage() for record in caplog.records if record.name == "pipeline.review.doctor"]
    assert len(said) == len(diagnosis.findings)
    assert said[0].startswith("doctor: ")
    assert "| repaired by: python manage.py backfill --weeks " in said[0]
