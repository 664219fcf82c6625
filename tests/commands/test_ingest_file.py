"""`ingest_file`: one file as one partition, whatever its name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pipeline import analytics
from pipeline.calendar import PartitionKey, Tier
from pipeline.models import Anomaly, Capture, CaptureKind, Category, Run
from tests.commands.calling import call
from tests.commands.publications import DAY, NEWER_WEEK, OTC, ROWS, WEEK, capture_id, content, publish
from tests.engines import Ledger
from tests.ledger_state import is_untouched_by

AS_OTC = ("--tier", "OTC", "--week", str(WEEK), "--run-date", str(DAY))


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    """A file as a browser saves it."""
    path = tmp_path / "OTCE ATS (1).txt"
    path.write_bytes(content(OTC))
    return path


def test_a_file_of_any_name_is_captured(ledger: Ledger, downloaded: Path) -> None:
    ran = call("ingest_file", downloaded, *AS_OTC)

    assert ran.code == 0
    assert ran.lines[0] == "2025-11-14 OTC         INGESTED     first capture: 4 rows"
    capture = Capture.objects.get()
    assert (capture.capture_id, capture.source, capture.payload_uri) == (
        capture_id(OTC),
        "upload",
        "upload:OTCE ATS (1).txt",
    )


@pytest.mark.promise(2)
@pytest.mark.parametrize("suffix", [".gz", ".bin"])
def test_a_compressed_copy_is_the_same_content(ledger: Ledger, downloaded: Path, suffix: str) -> None:
    call("ingest_file", downloaded, *AS_OTC)
    compressed = downloaded.with_suffix(suffix)
    compressed.write_bytes(gzip.compress(downloaded.read_bytes()))

    ran = call("ingest_file", compressed, *AS_OTC)

    assert (ran.code, ran.lines[0]) == (
        0,
        "2025-11-14 OTC         UNCHANGED    unchanged: the same bytes as captured",
    )
    assert Capture.objects.count() == 1


def test_the_file_and_the_folder_are_the_same_to_the_ledger(ledger: Ledger, downloaded: Path, source_dir: Path) -> None:
    call("ingest_file", downloaded, *AS_OTC)
    publish(source_dir, OTC)

    ran = call("run_weekly", "--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY)

    assert ran.lines[0].startswith("2025-11-14 OTC         UNCHANGED")


def test_a_week_not_yet_due_is_taken_since_somebody_has_it(ledger: Ledger, tmp_path: Path) -> None:
    early = PartitionKey(NEWER_WEEK, Tier.OTC)
    path = tmp_path / "early.psv"
    path.write_bytes(content(early))

    ran = call("ingest_file", path, "--tier", "otc", "--week", NEWER_WEEK, "--run-date", DAY, "--json")

    assert ran.code == 0
    assert ran.document["steps"][0]["outcome"] == "INGESTED"
    assert ran.document["readiness"]["trading"]["BLOCKED"] == 1  # the first tier is due, and not there
    assert analytics.newest_snapshot(NEWER_WEEK) is not None


def test_a_smaller_file_is_refused_and_taken_by_force_with_the_reason(ledger: Ledger, downloaded: Path) -> None:
    call("ingest_file", downloaded, *AS_OTC)
    downloaded.write_bytes(content(OTC, ROWS[:2]))

    assert call("ingest_file", downloaded, *AS_OTC).code == 1
    assert call("ingest_file", downloaded, *AS_OTC, "--force", "--reason", "checked by phone").code == 0

    forced = Capture.objects.get(version=2)
    assert (forced.kind, forced.request_reason, forced.rows_removed) == (CaptureKind.FORCED, "checked by phone", 2)


def test_a_file_of_another_week_is_taken_with_a_warning(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "misnamed.psv"
    path.write_bytes(content(PartitionKey(NEWER_WEEK, Tier.OTC)))

    ran = call("ingest_file", path, *AS_OTC)

    assert ran.code == 0
    anomaly = Anomaly.objects.get()
    assert (anomaly.category, anomaly.severity) == (Category.WEEK_MISMATCH, "WARN")
    assert anomaly.message == (
        "the rows' commonest lastUpdateDate, 2025-12-29, speaks of the week ending 2025-11-28, not of 2025-11-14"
    )


def test_an_unreadable_file_is_a_failure_and_not_an_argument(ledger: Ledger, downloaded: Path) -> None:
    downloaded.write_text("<!DOCTYPE html><p>Please log in")

    ran = call("ingest_file", downloaded, *AS_OTC)

    assert ran.code == 1
    assert "FAILED       ats.psv: this is an HTML or XML page, not a pipe-separated file" in ran.lines[0]
    assert Anomaly.objects.get().category == Category.UNREADABLE


def test_a_file_that_cannot_be_read_writes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    missing = tmp_path / "missing.psv"

    assert is_untouched_by(lambda: call("ingest_file", missing, *AS_OTC))
    assert call("ingest_file", missing, *AS_OTC).code == 2


def test_another_file_never_goes_on_with_an_interrupted_run_of_the_first(
    ledger: Ledger, downloaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(analytics, "calculate_week", stop)
        assert call("ingest_file", downloaded, *AS_OTC).code == 1
    downloaded.write_bytes(content(OTC, (("AAPL", "UBSA", "7", 1), *ROWS[1:])))

    ran = call("ingest_file", downloaded, *AS_OTC)

    assert ran.code == 0
    assert ran.lines[0].startswith("2025-11-14 OTC         RESTATED     content changed (")
    assert Run.objects.count() == 2
