"""`resolve_anomaly`: a person's word, kept with the anomaly, and the week judged again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.models import Anomaly, Readiness, ReadinessState, Use
from tests.management.calling import call
from tests.management.publications import DAY, OTC, ROWS, WEEK, content, publish, publish_week
from tests.support.engines import Begin

RUN_DATE = ("--run-date", str(DAY))


def one_refused(source_dir: Path) -> None:
    publish_week(source_dir)
    captured = call("run_weekly", "--weeks", WEEK, *RUN_DATE)
    assert captured.code == 0, captured
    publish(source_dir, OTC, content(OTC, ROWS[:1]))
    refused = call("run_weekly", "--weeks", WEEK, *RUN_DATE)
    assert refused.code == 1, refused


@pytest.fixture
def anomaly(begin: Begin) -> Anomaly:
    """That of a refused file, in a week that is captured otherwise."""
    begin(one_refused)
    return Anomaly.objects.get()


def states() -> dict[str, str]:
    """The week's readiness for each use."""
    return dict(Readiness.objects.filter(week_ending=WEEK).values_list("use", "state"))


def test_resolving_what_blocks_a_week_makes_it_ready(anomaly: Anomaly) -> None:
    assert states() == {Use.TRADING: "BLOCKED", Use.COMPLIANCE: "BLOCKED", Use.RESEARCH: "PROVISIONAL"}

    ran = call("resolve_anomaly", anomaly.pk, "--note", "FINRA's file is cut; wait", "--by", "ops", *RUN_DATE)

    assert ran.code == 0
    assert ran.lines == [
        f"Anomaly {anomaly.pk} resolved.",
        "2025-11-14 trading: READY",
        "2025-11-14 compliance: READY",
        "2025-11-14 research: READY",
    ]
    anomaly.refresh_from_db()
    assert (anomaly.resolved_by, anomaly.note) == ("ops", "FINRA's file is cut; wait")
    assert set(states().values()) == {ReadinessState.READY}


def test_the_document_names_the_week_and_its_readiness(anomaly: Anomaly) -> None:

    ran = call("resolve_anomaly", anomaly.pk, "--note", "seen", *RUN_DATE, "--json")

    assert ran.document == {
        "anomaly": anomaly.pk,
        "week_ending": "2025-11-14",
        "readiness": {"trading": "READY", "compliance": "READY", "research": "READY"},
    }


def test_the_same_thing_seen_again_opens_another_anomaly(anomaly: Anomaly) -> None:
    call("resolve_anomaly", anomaly.pk, "--note", "seen", *RUN_DATE)

    call("run_weekly", "--weeks", WEEK, *RUN_DATE)

    assert Anomaly.objects.open().count() == 1
    assert Anomaly.objects.count() == 2
    assert states()[Use.TRADING] == "BLOCKED"


def test_a_week_that_is_captured_whole_awaits_nothing_whatever_the_day(anomaly: Anomaly) -> None:
    ran = call("resolve_anomaly", anomaly.pk, "--note", "seen", "--run-date", "2025-12-14")

    assert "2025-11-14 trading: READY" in ran.lines
