"""Lost payloads: restored where the source still has them, named with what may bring them back where it has not."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.files.storage import FileSystemStorage
from django.utils import timezone
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.integrity import losses
from pipeline.models import Anomaly, Capture, FileCheck, Readiness, Run
from pipeline.review.dashboard import weeks as dashboard
from pipeline.tasks import check_archive
from pipeline.vintages import archive, holdings
from pipeline.weeks import readiness
from tests.management.calling import Ran, call
from tests.management.publications import DAY, OTC, TIER_1, TIER_2, WEEK, content, publish, publish_week, restate
from tests.support.engines import Begin, Ledger
from tests.support.ledger_state import check_consistent, is_untouched_by

RESTORED = "unchanged: the same bytes as captured; the lost payload was restored"
AT_NOON = time_machine.travel("2025-12-15 17:00+00:00", tick=False)


def weekly(*arguments: str) -> Ran:
    """Capture the week."""
    return call("run_weekly", "--weeks", WEEK, "--run-date", DAY, "--json", *arguments)


def checked(*arguments: object) -> Ran:
    """Look at the archive, reading nothing but what the arguments say."""
    return call("check_archive", "--read", 0, "--run-date", DAY, "--json", *arguments)


def reasons(ran: Ran) -> list[str]:
    """What became of each partition."""
    return [step["reason"] for step in ran.document["steps"]]


def of_archive(word: str = "payload") -> list[dict[str, str]]:
    """What the doctor finds wrong."""
    found = call("doctor", "--run-date", DAY, "--json").document["findings"]
    return [one for one in found if word in one["what"]]


def states() -> set[str]:
    """The verdicts on the week for trading and compliance."""
    return set(Readiness.objects.filter(week_ending=WEEK).exclude(use="research").values_list("state", flat=True))


def said() -> list[tuple[str, str, str]]:
    """Severity, category and place of what is open."""
    return [(one.severity, one.category, one.place) for one in Anomaly.objects.open().order_by("pk")]


def file_of(archive_dir: Path, key: PartitionKey, version: int = 1) -> Path:
    """The archived payload of a capture."""
    partition = {"partition__week_ending": key.week_ending, "partition__tier": key.tier}
    return archive_dir / archive.path_of(Capture.objects.get(version=version, **partition).payload_sha256)


def ready(source_dir: Path) -> None:
    publish_week(source_dir)
    assert weekly().code == 0
    assert states() == {"READY"}


@pytest.fixture
def held(begin: Begin, source_dir: Path) -> Iterator[Path]:
    """The source folder; the week is captured, and READY."""
    with AT_NOON:
        begin(ready)
        yield source_dir


@pytest.mark.promise(9)
def test_an_archive_emptied_is_filled_again_once_a_person_begins_anew(
    held: Path, archive_dir: Path, settings: Settings
) -> None:
    """A folder that is empty may be one that is not mounted: a person has to say that it is the right one."""
    settings.MARKETSPINE_MAX_ATTEMPTS = 1  # the clock stands still
    shutil.rmtree(archive_dir)
    ran = weekly()
    assert ran.code == 1
    assert all("is it mounted?" in reason for reason in reasons(ran))
    assert not archive_dir.exists()

    assert call("rebuild_vintages", "--run-date", DAY).code == 1
    ran = weekly()
    assert (ran.code, reasons(ran)) == (0, [f"{RESTORED}; the lost vintage file was restored"] * 3)
    assert (states(), said(), of_archive()) == ({"READY"}, [], [])
    check_consistent()
    assert is_untouched_by_run()


def is_untouched_by_run() -> bool:
    """Whether one more run finds nothing to restore."""
    return reasons(weekly()) == ["unchanged: the same bytes as captured"] * 3


@pytest.mark.parametrize("content", [b"", b"half", None], ids=["empty", "half", "of another"])
def test_a_damaged_payload_is_replaced_by_the_next_run(held: Path, archive_dir: Path, content: bytes | None) -> None:
    file_of(archive_dir, OTC).write_bytes(file_of(archive_dir, TIER_1).read_bytes() if content is None else content)
    ran = weekly()
    assert (ran.code, reasons(ran)[2]) == (0, RESTORED)
    check_consistent()


@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "flipped"])
def test_a_vintage_file_lost_alone_is_restored_by_the_next_run(held: Path, archive_dir: Path, is_there: bool) -> None:
    file = archive_dir / Capture.objects.get(partition__tier=OTC.tier).vintage_path
    written = file.read_bytes()
    file.write_bytes(written[:-9] + b"?" + written[-8:]) if is_there else file.unlink()
    ran = weekly()
    assert (ran.code, reasons(ran)[2]) == (
        0,
        "unchanged: the same bytes as captured; the lost vintage file was restored",
    )
    assert file.read_bytes() == written
    check_consistent()


def test_a_file_brought_by_hand_puts_its_payload_back(held: Path, archive_dir: Path, tmp_path: Path) -> None:
    file_of(archive_dir, OTC).unlink()
    brought = tmp_path / "as FINRA names it.csv"
    brought.write_bytes(content(OTC))
    ran = call("ingest_file", brought, "--tier", "OTC", "--week", WEEK, "--run-date", DAY, "--json")
    assert (ran.code, reasons(ran)) == (0, [RESTORED])
    check_consistent()


def test_the_payload_of_an_older_version_is_restored(held: Path, archive_dir: Path) -> None:
    """What arrives is what version 1 was made of, and becomes version 3."""
    restate(held, OTC)
    assert weekly().code == 0
    file_of(archive_dir, OTC).unlink()
    publish(held, OTC)
    ran = weekly()
    assert (ran.code, ran.document["steps"][2]["outcome"]) == (0, "RESTATED")
    assert reasons(ran)[2].endswith("; the lost payload was restored")
    check_consistent()


@pytest.mark.promise(8)
def test_an_older_payload_lost_blocks_its_week_until_it_is_back(held: Path, archive_dir: Path) -> None:
    restate(held, OTC)
    assert weekly().code == 0
    lost = file_of(archive_dir, OTC)
    aside = lost.read_bytes()
    lost.unlink()
    ran = weekly()
    assert (ran.code, ran.document["status"], states()) == (1, "FAILED", {"BLOCKED"})
    file = lost.relative_to(archive_dir)
    told = f"the payload of finra.otc_transparency:OTC:2025-11-14:20251215 is not in the archive ({file})"
    assert ran.document["archive"] == [told]
    assert said() == [("ERROR", "ARCHIVE_DAMAGED", "2025-11-14 OTC")]
    (found,) = of_archive()
    assert found["what"].splitlines()[0] == told
    assert "a backup of the archive" in found["what"]
    assert found["command"] == "python manage.py check_archive"
    lost.write_bytes(aside)
    _, _, *words = shlex.split(found["command"])
    assert call(*words).code == 0
    assert (states(), said(), of_archive()) == ({"READY"}, [], [])
    assert Anomaly.objects.get().resolved_by == "marketspine"
    assert weekly().code == 0


def test_a_run_elsewhere_is_not_good_while_a_payload_is_lost(held: Path, archive_dir: Path) -> None:
    restate(held, OTC)
    assert weekly().code == 0
    file_of(archive_dir, OTC).unlink()
    assert weekly("--tiers", "NMS_TIER_1").code == 1
    assert states() == {"BLOCKED"}


def test_what_the_source_has_no_more_is_told(held: Path, archive_dir: Path) -> None:
    file_of(archive_dir, OTC).unlink()
    for path in held.iterdir():
        path.unlink()
    assert weekly().code == 1
    assert ("ERROR", "ARCHIVE_DAMAGED", "2025-11-14 OTC") in said()
    assert states() == {"BLOCKED"}


def test_other_bytes_with_the_same_rows_are_taken_by_the_next_run(held: Path, archive_dir: Path) -> None:
    """The second capture shows what the first was made of: nothing is lost any more."""
    file_of(archive_dir, OTC).unlink()
    publish(held, OTC, content(OTC).removesuffix(b"\n"))
    assert checked().code == 1
    assert weekly().code == 0
    assert (said(), of_archive(), Capture.objects.latest("pk").kind) == ([], [], "EVIDENCE")


def test_a_loss_that_a_person_accepts_is_not_said_again(held: Path, archive_dir: Path) -> None:
    restate(held, OTC)
    assert weekly().code == 0
    lost = file_of(archive_dir, OTC)
    aside = lost.read_bytes()
    lost.unlink()
    assert checked().code == 1
    number = Anomaly.objects.open().get().pk
    assert call("resolve_anomaly", number, "--note", "no backup has it", "--run-date", DAY).code == 0
    ran = checked()
    assert (ran.code, [one["accepted"] for one in ran.document["lost"]]) == (0, [True])
    assert (said(), of_archive(), weekly().code, states()) == ([], [], 0, {"READY"})
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):  # back, and lost once more
        lost.write_bytes(aside)
        assert checked().code == 0
        lost.unlink()
        assert checked().code == 1


def test_one_finding_for_an_archive_that_is_gone(held: Path, archive_dir: Path, settings: Settings) -> None:
    settings.MARKETSPINE_MAX_ATTEMPTS = 1  # the clock stands still
    away = archive_dir.rename(archive_dir.with_name("not mounted"))
    ran = checked()
    assert (ran.code, ran.document["gone"]) == (1, "the archive has none of the 3 payloads that were captured")
    assert said() == [("ERROR", "ARCHIVE_DAMAGED", "all weeks")]
    assert states() == {"BLOCKED"}
    (found,) = of_archive()
    assert found["command"] == "python manage.py check_archive"
    assert call("doctor", "--run-date", DAY).code == 1
    restate(held, TIER_1)
    assert [step["outcome"] for step in weekly().document["steps"]].count("FAILED") == 3
    (alone,) = (one for one in of_archive("") if str(WEEK) in one["what"] or "archive" in one["what"])
    assert alone == found  # not a word of its partitions: what failed meanwhile is told once the archive is back
    away.rename(archive_dir)
    assert checked().code == 0
    assert len([one for one in of_archive("FAILED") if str(WEEK) in one["what"]]) == len(Tier)
    assert weekly().code == 0
    assert (states(), said(), of_archive()) == ({"READY"}, [], [])


def test_an_archive_that_cannot_be_listed_is_gone(held: Path, archive_dir: Path) -> None:
    archive_dir.rename(archive_dir.with_name("aside"))
    archive_dir.touch()
    assert losses.check(DAY, read=5).gone == "the archive cannot be listed: Not a directory"
    assert (said(), states()) == ([("ERROR", "ARCHIVE_DAMAGED", "all weeks")], {"BLOCKED"})


def test_an_older_archive_is_one_finding(ledger: Ledger, source_dir: Path, archive_dir: Path) -> None:
    with AT_NOON:
        weeks = [WEEK - timedelta(weeks=n) for n in range(10)]
        for week in weeks:
            publish_week(source_dir, week)
        named = ",".join(map(str, weeks))
        assert call("run_weekly", "--weeks", named, "--run-date", DAY).code == 0
        for week in weeks[:9]:
            for tier in Tier:
                file_of(archive_dir, PartitionKey(week, tier)).unlink()
        assert checked().document["gone"] == "the archive has 3 of the 30 payloads that were captured"
        assert len(said()) == len(of_archive()) == 1
        for path in source_dir.iterdir():
            path.unlink()
        assert call("run_weekly", "--weeks", weeks[-1], "--run-date", DAY).code == 1


def test_hashes_are_read_in_turn(held: Path, archive_dir: Path, settings: Settings) -> None:
    settings.MARKETSPINE_ARCHIVE_READS = 1
    for hour in range(6):  # three payloads and three vintage files
        with time_machine.travel(timezone.now() + timedelta(hours=hour + 1), tick=False):
            check_archive()
        assert FileCheck.objects.filter(read_at__isnull=False).count() == hour + 1
    first = FileCheck.objects.order_by("read_at")[0].sha256
    of_vintage = Capture.objects.filter(vintage_sha256=first).first()
    path = archive_dir / (of_vintage.vintage_path if of_vintage else archive.path_of(first))
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with time_machine.travel(timezone.now() + timedelta(hours=9), tick=False):
        check_archive()
        assert [category for _, category, _ in said()] == ["ARCHIVE_DAMAGED"]
        assert "is damaged in the archive" in of_archive("archive")[0]["what"]
        path.write_bytes(whole)
        check_archive()  # what was damaged is read first
        assert said() == []


def test_the_dashboard_and_the_doctor_agree_on_a_lost_payload(held: Path, archive_dir: Path) -> None:
    file_of(archive_dir, OTC).unlink()
    checked()
    (week,) = (one for one in dashboard(DAY) if one.week_ending == WEEK)
    found = call("doctor", "--run-date", DAY, "--json").document["cells"]
    state = next(cell["state"] for cell in found if (cell["week_ending"], cell["tier"]) == (str(WEEK), "OTC"))
    shown = [(cell.state, check) for cell, check in week.cells if cell.tier == "OTC"]
    assert (shown, state) == ([("DAMAGED", "DAMAGED")], "DAMAGED")


def test_the_doctor_writes_nothing_of_what_is_lost(held: Path, archive_dir: Path) -> None:
    file_of(archive_dir, OTC).unlink()
    assert is_untouched_by(lambda: call("doctor", "--run-date", DAY))
    assert holdings.recorded() == []


def test_a_verdict_decided_meanwhile_names_what_is_lost(held: Path, archive_dir: Path) -> None:
    restate(held, TIER_2)
    assert weekly().code == 0
    file_of(archive_dir, TIER_2).unlink()
    checked()
    verdicts = readiness.decide_week(WEEK, DAY)
    assert {use.value: verdict.state.value for use, verdict in verdicts.items()} == {
        "trading": "BLOCKED",
        "compliance": "BLOCKED",
        "research": "PROVISIONAL",
    }
    assert Run.objects.count() == 2


def test_a_storage_that_fails_in_its_own_way_ends_no_run_well(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> tuple[list[str], list[str]]:
        raise RuntimeError("SlowDown")

    with monkeypatch.context() as patched:
        patched.setattr(FileSystemStorage, "listdir", broken)
        ran = weekly()
        assert (ran.code, ran.document["status"], states()) == (1, "FAILED", {"BLOCKED"})
        assert ran.document["archive"] == ["the archive cannot be listed: RuntimeError: SlowDown"]
        assert [one["what"][:29] for one in of_archive("archive")] == ["the archive cannot be listed:"]
        assert checked().code == 1
        patched.setattr(FileSystemStorage, "listdir", lambda *_: ([], []))
        patched.setattr(FileSystemStorage, "save", broken)  # the records cannot be written
        assert weekly().code == 1
    assert weekly().code == 0
    assert (said(), states()) == ([], {"READY"})
