"""A partition's two halves: given by hand in one command, one alone, and a non-ATS file that names MPIDs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.models import Anomaly, Capture, Outcome, Readiness, ReadinessState, Reject, RunPartition
from tests.management.calling import Ran, call
from tests.management.publications import DAY, OTC, WEEK, content
from tests.support.engines import Ledger
from tests.support.sources_in_memory import psv, row

HAND = ("--tier", "OTC", "--week", str(WEEK), "--run-date", str(DAY))
FIRMS = [row(f"F{n}", "", 10 + n, 1, name="Firm Securities LLC", updated="2025-12-15") for n in range(4)]


@pytest.fixture
def halves(ledger: Ledger, source_dir: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The two files of a week, downloaded by hand."""
    ats, firms = tmp_path / "download.csv", tmp_path / "download (1).csv"
    ats.write_bytes(content(OTC))
    firms.write_bytes(psv(*FIRMS))
    return ats, firms


def ingest(*words: object) -> Ran:
    return call("ingest_file", *words, *HAND)


def test_both_halves_are_one_capture(halves: tuple[Path, Path]) -> None:
    ats, firms = halves
    assert ingest(ats, "--nonats", firms).code == 0
    capture = Capture.objects.get()
    assert (capture.rows_kept, capture.rows_non_ats, capture.payload_uri) == (
        8,
        4,
        "upload:download.csv+download (1).csv",
    )
    assert ingest(ats, "--nonats", firms).code == 0
    assert Capture.objects.count() == 1


def test_one_half_is_refused_where_both_are_held(halves: tuple[Path, Path]) -> None:
    ats, firms = halves
    ingest(ats, "--nonats", firms)
    ats.write_bytes(content(OTC) + row("NEW", "UBSA", 5, 1, updated="2025-12-15").encode() + b"\n")

    alone = ingest(ats)
    assert alone.code == 1
    assert "holds 4 non-ATS rows, and no non-ATS file is given: one half alone would be refused" in alone.err
    assert "Give both in one command (--nonats FILE)" in alone.err
    other = ingest("--nonats", firms)
    assert other.code == 1
    assert "holds 4 ATS rows, and no ATS file is given: one half alone would be refused" in other.err
    assert Capture.objects.count() == 1

    assert ingest(ats, "--nonats", firms).code == 0
    assert Capture.objects.count() == 2


def test_no_file_at_all_is_refused(halves: tuple[Path, Path]) -> None:
    ran = ingest()
    assert (ran.code, ran.out) == (2, "")
    assert "name the ATS file, the non-ATS file by --nonats, or both" in ran.err


@pytest.mark.promise(3, 11)
def test_a_non_ats_file_that_names_mpids_costs_no_ats_row(halves: tuple[Path, Path], source_dir: Path) -> None:
    ats, _ = halves
    for suffix in ("", ".nonats"):
        (source_dir / f"otc_week_2025-11-14{suffix}.psv").write_bytes(ats.read_bytes())

    call("run_weekly", "--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY)

    assert RunPartition.objects.get().outcome == Outcome.INGESTED
    capture = Capture.objects.get()
    assert (capture.rows_in, capture.rows_kept, capture.rows_rejected, capture.rows_non_ats) == (8, 4, 4, 0)
    assert set(Reject.objects.values_list("part", "reason")) == {("nonats.psv", "UNEXPECTED_MPID")}
    told = Anomaly.objects.get(category="REJECTED_ROWS")
    assert (told.severity, told.resolved_at) == ("ERROR", None)
    assert "4 of 4 rows of the non-ATS file name an MPID, as ATS rows do" in told.message
    assert "put FINRA's non-ATS file under otc_week_2025-11-14.nonats.psv" in told.message
    assert ReadinessState.READY not in Readiness.objects.values_list("state", flat=True)

    (source_dir / "otc_week_2025-11-14.nonats.psv").write_bytes(psv(*FIRMS))
    call("run_weekly", "--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY)
    assert (
        Capture.objects.latest("pk").rows_kept,
        Anomaly.objects.open().filter(category="REJECTED_ROWS").count(),
    ) == (8, 0)
