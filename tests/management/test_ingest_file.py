"""`ingest_file`: one file as one partition, whatever its name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Anomaly, Capture, CaptureKind, Category
from pipeline.weeks import analytics
from tests.management.calling import call
from tests.management.publications import DAY, NEWER_WEEK, OTC, ROWS, WEEK, capture_id, content, publish
from tests.support.engines import Ledger

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
    assert (
        ran.lines[0]
        == "2025-11-14 OTC         INGESTED     first capture: 4 rows; finra.otc_transparency:OTC:2025-11-14:20251215"
    )
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


def test_a_file_of_another_week_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "misnamed.psv"
    path.write_bytes(content(PartitionKey(NEWER_WEEK, Tier.OTC)))

    ran = call("ingest_file", path, *AS_OTC)

    assert (ran.code, Capture.objects.count()) == (1, 0)
    anomaly = Anomaly.objects.get()
    assert (anomaly.category, anomaly.severity) == (Category.REFUSED, "ERROR")
    assert anomaly.message == (
        "the dates of misnamed.psv speak of the week ending 2025-11-28: 4 of 4 rows were last updated on 2025-12-29, and "
        "2025-11-14 was published from 2025-12-15 to 2025-12-21; check the file's name and bring that of 2025-11-14; if it "
        "is right all the same, force it"
    )
    assert call("ingest_file", path, *AS_OTC, "--force", "--reason", "looked at").code == 0
