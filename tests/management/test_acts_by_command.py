"""What a person does by a command is in the operator log like an act in the admin: who, what, why, what came of it."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest
from django.urls import reverse

from pipeline.models import Anomaly, OperatorLogEntry, Outcome, Partition, Run, RunPartition
from pipeline.runs.lifecycle import start
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from tests.admin.vintages import signed_in
from tests.management.calling import call
from tests.management.publications import DAY, OTC, ROWS, WEEK, content, publish
from tests.support.engines import Ledger

ONE = ("--weeks", str(WEEK), "--tiers", "OTC", "--run-date", str(DAY))
pytestmark = pytest.mark.promise(15)


@pytest.fixture
def folder(ledger: Ledger, source_dir: Path) -> Path:
    publish(source_dir, OTC)
    return source_dir


def entries() -> list[tuple[str, str, str, str]]:
    found = OperatorLogEntry.objects.order_by("pk")
    return [(entry.operator, entry.act, entry.reason, entry.outcome) for entry in found]


def on() -> list[str]:
    return list(OperatorLogEntry.objects.latest("pk").subjects.values_list("label", flat=True))


def test_a_weekly_run_by_command_is_written_down(folder: Path) -> None:
    call("run_weekly", *ONE)
    assert entries() == [(getpass.getuser(), "RUN", "", "STARTED")]
    entry = OperatorLogEntry.objects.get()
    assert entry.run == Run.objects.get()
    assert entry.sentence == f"Run {entry.run_id} was started by the command run_weekly: 1 partition."


def test_a_backfill_by_command_names_who_and_why(folder: Path) -> None:
    call("backfill", *ONE, "--by", "ops", "--reason", "a gap")
    assert entries() == [("ops", "BACKFILL", "a gap", "STARTED")]
    assert Run.objects.get().requested_by == "ops"


@pytest.mark.parametrize("command", ["run_weekly", "backfill"])
def test_force_by_command_is_written_down_on_its_partition(folder: Path, command: str) -> None:
    call(command, *ONE)
    call(command, *ONE, "--force", "--by", "ops", "--reason", "a check")
    assert entries()[1] == ("ops", "FORCE_REINGEST", "a check", "STARTED")
    assert on() == ["2025-11-14 OTC"]
    forced = RunPartition.objects.latest("pk")
    assert (forced.outcome, forced.capture.version if forced.capture else 0) == (Outcome.FORCED, 2)


def test_a_file_by_hand_is_written_down_on_its_partition(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "downloaded.txt"
    path.write_bytes(content(OTC))
    call("ingest_file", path, "--tier", "OTC", "--week", WEEK, "--run-date", DAY, "--by", "ops", "--reason", "mailed")
    assert entries() == [("ops", "INGEST_FILE", "mailed", "STARTED")]
    assert on() == ["2025-11-14 OTC"]


def test_a_resolve_by_command_is_written_down_and_shown(folder: Path) -> None:
    call("run_weekly", *ONE)
    publish(folder, OTC, content(OTC, ROWS[:1]))
    call("run_weekly", *ONE)
    anomaly = Anomaly.objects.get()
    call("resolve_anomaly", anomaly.pk, "--note", "what is held stands", "--by", "ops", "--run-date", DAY)
    assert entries()[-1] == ("ops", "RESOLVE", "what is held stands", "DONE")
    shown = signed_in("Viewer").get(reverse("admin:pipeline_anomaly_change", args=[anomaly.pk])).content.decode()
    assert "ops: resolve anomaly" in shown
    assert "Nobody has acted" not in shown


def test_what_ended_by_itself_is_not_said_to_be_nobodys(folder: Path) -> None:
    publish(folder, OTC, b"<html>down</html>")
    call("run_weekly", *ONE)
    publish(folder, OTC)
    call("run_weekly", *ONE)
    page = reverse("admin:pipeline_anomaly_change", args=[Anomaly.objects.get().pk])
    shown = signed_in("Viewer").get(page).content.decode()
    assert "It ended by itself" in shown
    assert "Nobody has acted" not in shown


def test_a_cancel_by_command_is_written_down_on_its_run(folder: Path) -> None:
    run = start(make_plan(Request(command="backfill", run_date=DAY, partitions=(OTC,)), {OTC}))
    call("cancel_run", run.pk, "--reason", "wrong range", "--by", "ops")
    assert entries() == [("ops", "CANCEL_RUN", "wrong range", "DONE")]
    assert len(on()) == 1


def test_going_on_with_a_stopped_run_is_written_down(folder: Path) -> None:
    call("run_weekly", *ONE)
    run = Run.objects.get()
    Run.objects.update(status="INTERRUPTED")
    call("run_weekly", *ONE)
    assert [act for _, act, _, _ in entries()] == ["RUN", "RUN"]
    assert (
        OperatorLogEntry.objects.latest("pk").sentence
        == f"The command run_weekly resumed run {run.pk}, which had stopped."
    )


def test_an_archive_check_is_logged_an_empty_recovery_is_not(folder: Path) -> None:
    call("check_archive", "--run-date", DAY)
    call("recover_runs")
    assert [(act, outcome) for _, act, _, outcome in entries()] == [("CHECK_ARCHIVE", "DONE")]


def test_what_only_reads_or_cannot_run_is_not_written_down(folder: Path) -> None:
    call("doctor", "--run-date", DAY)
    call("run_weekly", *ONE, "--mode", "dry-run")
    call("backfill", *ONE, "--mode", "dry-run")
    call("resolve_anomaly", 7, "--note", "x")
    assert entries() == []
    assert not Partition.objects.exists()
