"""Lost vintage files: told by the archive's check and the doctor, made again by the command that the doctor prints."""

from __future__ import annotations

import shlex
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pipeline.models import Act, Anomaly, Capture, FileCheck, OperatorLogEntry
from pipeline.vintages import archive, store
from tests.management.calling import Ran, call
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, row
from tests.vintages.frames import KEY, T1, captured
from tests.vintages.test_store import spoil

NOON = datetime(2025, 12, 15, 17, tzinfo=UTC)
DAY = date(2025, 12, 15)
DAMAGES = ("removed", "cut", "flipped", "emptied")


@pytest.fixture
def held(ledger: Ledger) -> list[Capture]:
    """Two versions of a partition and one of another, with payloads and files."""
    source = MemorySource()
    captures = []
    for key, shares in ((KEY, 100), (KEY, 101), (T1, 7)):
        source.publish_rows(
            key, [row("AAPL", "UBSA", shares, tier=key.tier), row("MSFT", "SGMT", "25.25", tier=key.tier)]
        )
        captures.append(captured(source.fetch(key), NOON, key=key))
    return captures


def rebuilt(*arguments: object) -> Ran:
    return call("rebuild_vintages", "--run-date", DAY, "--json", *arguments)


def fates(ran: Ran) -> list[str]:
    return [one["fate"] for one in ran.document["files"]]


def checked(*arguments: object) -> Ran:
    return call("check_archive", "--run-date", DAY, "--json", *arguments)


def findings() -> list[dict[str, str]]:
    found = call("doctor", "--run-date", DAY, "--json").document["findings"]
    return [one for one in found if "vintage file" in one["what"]]


def of_archive() -> list[tuple[str, str, str]]:
    open_ = Anomaly.objects.open().filter(category="ARCHIVE_DAMAGED")
    return [(one.severity, one.stage, one.place) for one in open_.order_by("pk")]


def test_whole_files_are_left_as_they_are(held: list[Capture], archive_dir: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in archive_dir.rglob("*.parquet")}
    ran = rebuilt("--verify")
    assert (ran.code, fates(ran)) == (0, ["WHOLE"] * 3)
    assert {path: path.stat().st_mtime_ns for path in archive_dir.rglob("*.parquet")} == before
    assert findings() == []


@pytest.mark.promise(13)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_and_the_printed_command_makes_it_again(
    held: list[Capture], archive_dir: Path, damage: str
) -> None:
    lost = held[0]
    spoil(archive_dir / lost.vintage_path, damage)
    assert checked("--all").code == 1
    assert of_archive() == [("ERROR", "NORMALIZED", "2025-11-14 OTC")]
    (found,) = findings()
    how = "is not in the archive" if damage == "removed" else "is damaged in the archive"
    assert found["what"] == f"the vintage file of {lost} {how} ({lost.vintage_path})"
    assert found["command"] == f"python manage.py rebuild_vintages --weeks 2025-11-14 --run-date {DAY}"

    _, _, *words = shlex.split(found["command"])
    ran = call(*words, "--json")
    assert (ran.code, sorted(fates(ran))) == (0, ["REBUILT", "WHOLE", "WHOLE"])
    store.verify(Capture.objects.get(pk=lost.pk))
    assert (of_archive(), findings(), checked("--all").code) == ([], [], 0)
    assert Anomaly.objects.get(category="ARCHIVE_DAMAGED").resolved_by == "marketspine"


def test_a_flipped_byte_is_found_by_reading_and_a_cut_file_without(held: list[Capture], archive_dir: Path) -> None:
    spoil(archive_dir / held[0].vintage_path, "flipped")
    spoil(archive_dir / held[2].vintage_path, "cut")
    assert fates(rebuilt()) == ["REBUILT", "WHOLE", "WHOLE"]
    assert fates(rebuilt("--verify")) == ["WHOLE", "REBUILT", "WHOLE"]


def test_only_the_weeks_asked_for_are_looked_at(held: list[Capture], archive_dir: Path) -> None:
    spoil(archive_dir / held[0].vintage_path, "removed")
    ran = rebuilt("--weeks", "2025-11-07")
    assert (ran.code, fates(ran)) == (0, [])
    assert not (archive_dir / held[0].vintage_path).exists()


@pytest.mark.promise(8)
def test_a_file_whose_payload_is_lost_too_cannot_be_made_again(held: list[Capture], archive_dir: Path) -> None:
    lost = held[0]
    spoil(archive_dir / lost.vintage_path, "flipped")
    payload = archive_dir / archive.path_of(lost.payload_sha256)
    aside = payload.read_bytes()
    payload.unlink()

    ran = rebuilt("--verify")
    assert ran.code == 1
    (told,) = [one for one in ran.document["files"] if one["fate"] == "LOST"]
    assert told["why"].startswith("is not what was written: its hash differs, and the archived payload")
    assert FileCheck.objects.get(sha256=lost.vintage_sha256).state == "DAMAGED"
    assert sorted(of_archive()) == [("ERROR", "NORMALIZED", "2025-11-14 OTC"), ("ERROR", "RAW", "2025-11-14 OTC")]
    payload.write_bytes(aside)
    assert rebuilt().code == 0
    assert of_archive() == []


def test_what_was_done_is_in_the_operator_log(held: list[Capture], archive_dir: Path) -> None:
    spoil(archive_dir / held[1].vintage_path, "removed")
    rebuilt()
    entry = OperatorLogEntry.objects.get(act=Act.REBUILD_VINTAGES)
    assert entry.sentence == "3 files: 2 whole, 1 made again, 0 lost."
    assert [(one.kind, one.label) for one in entry.subjects.all()] == [("capture", held[1].capture_id)]


def test_a_person_reads_one_line_for_each_file_that_was_lost(held: list[Capture], archive_dir: Path) -> None:
    spoil(archive_dir / held[2].vintage_path, "removed")
    ran = call("rebuild_vintages", "--run-date", DAY)
    assert ran.out.splitlines() == [
        f"REBUILT  {held[2]}  is missing; 2 rows were read from its payload",
        "3 files: 2 whole, 1 made again, 0 lost.",
    ]


def test_a_folder_that_was_emptied_is_begun_anew_by_a_person_only(held: list[Capture], archive_dir: Path) -> None:
    shutil.rmtree(archive_dir)
    assert checked().document["gone"] == "the archive has none of the 3 payloads that were captured"
    ran = rebuilt()
    assert (ran.code, fates(ran)) == (1, ["LOST"] * 3)
    with pytest.raises(store.VintageDamaged):
        store.verify(held[0])


@pytest.mark.parametrize("weeks", ["2025-11-13", "yesterday", "2030-01-04"])
def test_weeks_that_cannot_be_are_refused(held: list[Capture], weeks: str) -> None:
    assert rebuilt("--weeks", weeks).code == 2
    assert not OperatorLogEntry.objects.exists()


@pytest.mark.promise(13)
def test_show_capture_proves_payload_rows_and_file(held: list[Capture], archive_dir: Path) -> None:
    capture = held[0]
    ran = call("show_capture", capture, "--verify", "--json")
    size = (archive_dir / capture.vintage_path).stat().st_size
    assert (ran.code, [(check["holds"], check["what"]) for check in ran.document["checks"]]) == (
        0,
        [
            (True, ran.document["checks"][0]["what"]),
            (True, "it reads as the captured rows (content hash)"),
            (True, f"the vintage file is what was written ({size:,} bytes, SHA-256 as recorded)"),
            (True, "it has the captured rows (content hash): 2 rows, 125.25 shares, 2 trades"),
        ],
    )
    assert ran.document["checks"][0]["what"].startswith("the archived payload is whole (")


def test_a_file_without_payload_is_not_said_to_be_rebuilt(held: list[Capture], archive_dir: Path) -> None:
    """Of the older version no source has the payload: with a backup of it the check, and then the rebuilding."""
    older = held[0]
    payload = archive_dir / archive.path_of(older.payload_sha256)
    kept = payload.rename(archive_dir.with_name("backup"))
    spoil(archive_dir / older.vintage_path, "removed")

    (found,) = findings()
    assert found["what"].count(str(older)) == 2
    assert "copy the files from a backup" in found["what"]
    assert "check_archive" in found["command"]

    kept.rename(payload)
    (found,) = findings()
    assert "rebuild_vintages --weeks 2025-11-14" in found["command"]
    assert (rebuilt().code, findings()) == (0, [])


def test_a_folder_in_a_files_place_holds_up_no_other(held: list[Capture], archive_dir: Path) -> None:
    """What is in it is not known to be nobody's: a person moves it away, and the same command makes the file."""
    folder, other = (archive_dir / capture.vintage_path for capture in (held[0], held[2]))
    folder.unlink()
    (folder / "kept").mkdir(parents=True)
    other.unlink()
    other.symlink_to(other.name)

    ran = rebuilt("--verify")
    shown = call("show_capture", held[0], "--verify", "--json")

    assert (ran.code, sorted(fates(ran))) == (1, ["LOST", "REBUILT", "WHOLE"])
    (lost,) = [one for one in ran.document["files"] if one["fate"] == "LOST"]
    assert lost["why"].count("is a folder: move that away") == 2
    assert (shown.code, [check["holds"] for check in shown.document["checks"]]) == (1, [True, True, False])

    folder.rename(archive_dir / "moved away")
    assert (rebuilt().code, checked("--all").code, findings()) == (0, 0, [])


@pytest.mark.parametrize("damage", DAMAGES)
def test_show_capture_tells_of_a_file_that_is_not_what_was_written(
    held: list[Capture], archive_dir: Path, damage: str
) -> None:
    spoil(archive_dir / held[0].vintage_path, damage)
    ran = call("show_capture", held[0], "--verify", "--json")
    checks = ran.document["checks"]
    assert (ran.code, [check["holds"] for check in checks]) == (1, [True, True, False])
    assert checks[-1]["what"].startswith(f"{held[0]}: its vintage file is ")


def test_show_capture_proves_the_file_though_the_payload_is_lost(held: list[Capture], archive_dir: Path) -> None:
    (archive_dir / archive.path_of(held[0].payload_sha256)).unlink()
    ran = call("show_capture", held[0], "--verify", "--json")
    assert (ran.code, [check["holds"] for check in ran.document["checks"]]) == (1, [False, True, True])
