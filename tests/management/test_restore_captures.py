"""A database that is older than its archive: it is noticed, no id is given twice, and what it lacks is restored."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone
from time_machine import Traveller

from pipeline.models import Anomaly, Capture, FeedCounter, OperatorLogEntry, Readiness, ReadinessChange
from pipeline.models.feed import GAP
from pipeline.vintages import archive, read
from tests.faults.prepared import Prepared
from tests.management.calling import Ran, call
from tests.management.publications import DAY, OTC, TIER_1, WEEK, capture_id, publish_week, restate
from tests.support.engines import Ledger
from tests.support.ledger_state import LedgerState, check_consistent, is_untouched_by, ledger_state

MORNING = datetime.fromisoformat("2025-12-15T15:00:00+00:00")
SECOND, THIRD = capture_id(OTC, 2), capture_id(OTC, 1, date(2025, 12, 16))


def weekly(*arguments: object, day: date = DAY) -> Ran:
    """Capture the week."""
    return call("run_weekly", "--weeks", WEEK, "--run-date", day, "--json", *arguments)


def restore(*arguments: object) -> Ran:
    """Take back what the ledger lacks."""
    return call("restore_captures", "--json", *arguments)


def fates(ran: Ran) -> list[tuple[str, str]]:
    """What became of each capture."""
    return [(one["capture_id"], one["fate"]) for one in ran.document["captures"]]


def findings() -> list[dict[str, str]]:
    """What the doctor finds wrong about the archive."""
    found = call("doctor", "--json").document["findings"]
    return [one for one in found if "archive" in one["what"]]


def records(archive_dir: Path) -> list[str]:
    """The files beside the payloads."""
    return sorted(path.name for path in (archive_dir / "captures").iterdir())


@pytest.fixture
def clock() -> Iterator[Traveller]:
    """A clock that stands still until it is moved."""
    with time_machine.travel(MORNING, tick=False) as coordinates:
        yield coordinates


@pytest.fixture
def older(
    ledger: Ledger, source_dir: Path, archive_dir: Path, tmp_path: Path, clock: Traveller
) -> Callable[[], LedgerState]:
    """Three vintages of a partition; called, goes back to the database after the first. The state that it loses."""
    publish_week(source_dir)
    assert weekly().code == 0
    dump = Prepared(archive_dir, tmp_path / "dump")
    clock.shift(timedelta(hours=1))
    restate(source_dir, OTC, "101")
    assert weekly().code == 0
    clock.shift(timedelta(days=1))
    restate(source_dir, OTC, "102")
    assert weekly(day=date(2025, 12, 16)).code == 0

    def go_back() -> LedgerState:
        lost, aside = ledger_state(), tmp_path / "records"
        shutil.copytree(archive_dir / "captures", aside)
        dump.restore(tmp_path / "nowhere")
        shutil.copytree(aside, archive_dir / "captures")
        clock.shift(timedelta(days=1))
        return lost

    return go_back


def test_an_id_is_written_beside_its_payload(older: Callable[[], LedgerState], archive_dir: Path) -> None:
    assert records(archive_dir) == sorted(f"{one.capture_id}.json" for one in Capture.objects.all())
    record = json.loads((archive_dir / "captures" / f"{SECOND}.json").read_text())
    assert (record["version"], record["kind"], record["run"]) == (2, "RESTATEMENT", 2)
    assert (record["normalized_at"], record["position"]) == ("2025-12-15T16:00:00+00:00", 7)
    assert (archive_dir / archive.path_of(record["payload_sha256"])).exists()


@pytest.mark.promise(5, 9)
def test_what_an_older_database_lacks_is_named_and_taken_back(older: Callable[[], LedgerState]) -> None:
    instants = [MORNING + timedelta(minutes=n) for n in (0, 59, 60, 25 * 60 - 1, 25 * 60)]
    known = [[one.capture_id for one in read.captures_as_of(at, [OTC])] for at in instants]
    lost = older()

    (found,) = findings()
    assert found["what"].startswith(
        f"the archive has 2 captures that the ledger lacks: {SECOND}, {THIRD}. Was an older database restored?"
    )
    assert found["command"] == "python manage.py restore_captures"
    assert is_untouched_by(lambda: restore("--mode", "dry-run"))
    dry = restore("--mode", "dry-run")
    assert (dry.code, fates(dry)) == (1, [(SECOND, "LACKING"), (THIRD, "LACKING")])

    _, _, *words = shlex.split(found["command"])
    assert call(*words).code == 0
    assert ledger_state() == lost
    entry = OperatorLogEntry.objects.get(act="RESTORE")
    assert (entry.outcome, entry.sentence) == ("DONE", "2 captures were restored from the archive.")
    assert list(entry.subjects.order_by("label").values_list("label", flat=True)) == sorted([SECOND, THIRD])
    assert [[one.capture_id for one in read.captures_as_of(at, [OTC])] for at in instants] == known
    check_consistent()
    assert (findings(), fates(restore())) == ([], [])
    assert set(Readiness.objects.values_list("state", flat=True)) == {"READY"}


@pytest.mark.promise(4, 8)
def test_no_run_goes_on_from_an_older_database(older: Callable[[], LedgerState]) -> None:
    older()
    ran = weekly()
    assert ran.code == 1
    assert [step["outcome"] for step in ran.document["steps"]] == ["UNCHANGED", "UNCHANGED", "FAILED"]
    assert f"the archive has what the ledger lacks: {SECOND}, {THIRD}" in ran.document["steps"][2]["reason"]
    assert set(Readiness.objects.values_list("state", flat=True)) == {"BLOCKED", "PROVISIONAL"}
    assert Capture.objects.filter(partition__tier="OTC").count() == 1
    assert restore().code == 0
    assert weekly().code == 0
    assert not Anomaly.objects.open().filter(category="LEDGER_BEHIND").exists()


@pytest.mark.promise(5)
def test_no_position_of_the_feed_is_given_twice(older: Callable[[], LedgerState], source_dir: Path) -> None:
    """Three were captured and three verdicts passed, then two more captured; the older database would give 7 and 8 again.

    The ledger that was lost may have given positions to verdicts after its last capture.
    """
    older()
    restate(source_dir, TIER_1, "103")
    weekly()
    new = 8 + GAP + 1
    assert positions() == {capture_id(TIER_1, 2): new}

    assert restore().code == 0

    assert positions() == {SECOND: 7, THIRD: 8, capture_id(TIER_1, 2): new}
    verdicts = list(ReadinessChange.objects.placed().values_list("position", flat=True))
    of_new = range(new + 1, new + 7)
    assert verdicts == [4, 5, 6, *of_new], "blocked while the archive had more, and READY again, for three uses"
    assert FeedCounter.objects.get().last == new + 6


def positions() -> dict[str, int | None]:
    """Of the captures after the first ones."""
    later = Capture.objects.filter(version__gt=1).order_by("position")
    return dict(later.values_list("capture_id", "position"))


def test_an_unchanged_source_does_not_hide_an_older_database(
    older: Callable[[], LedgerState], source_dir: Path
) -> None:
    older()
    restate(source_dir, OTC, "100.5")  # as in the first vintage
    ran = weekly()
    assert [step["outcome"] for step in ran.document["steps"]] == ["UNCHANGED"] * 3
    assert (ran.code, len(ran.document["archive"])) == (1, 1)
    blocked = ReadinessChange.objects.filter(state="BLOCKED").values_list("position", flat=True)
    assert list(blocked) == [8 + GAP + 1, 8 + GAP + 2], "no verdict has the place that a lost capture had"


def test_force_makes_a_capture_whose_id_is_new(older: Callable[[], LedgerState]) -> None:
    older()
    assert weekly("--tiers", "OTC", "--force", "--reason", "the lost day is not needed").code == 0
    newest = Capture.objects.get(partition__tier="OTC", version=2)
    assert newest.capture_id == capture_id(OTC, 3)  # .2 is that of other bytes
    assert fates(restore()) == [(SECOND, "REPLACED"), (THIRD, "REPLACED")]
    assert (findings(), weekly().code) == ([], 0)


def test_a_lost_payload_is_said_where_a_capture_cannot_be_taken_back(
    older: Callable[[], LedgerState], archive_dir: Path
) -> None:
    payload = Capture.objects.get(capture_id=SECOND).payload_sha256
    older()
    (archive_dir / archive.path_of(payload)).unlink()
    ran = restore()
    assert (ran.code, fates(ran)) == (1, [(SECOND, "PAYLOAD_LOST"), (THIRD, "NO_PREDECESSOR")])
    assert len(findings()) == 1


def test_a_capture_that_was_only_archived_is_taken_back_as_such(
    older: Callable[[], LedgerState], source_dir: Path
) -> None:
    restate(source_dir, OTC, "103")
    assert weekly("--only-stage", "ingest", day=date(2025, 12, 16)).code == 0
    lost = older()
    assert restore().code == 0
    assert ledger_state() == lost
    assert Capture.objects.get(version=4).normalized_at is None


def test_rows_are_stored_in_the_order_of_versions(
    older: Callable[[], LedgerState], source_dir: Path, archive_dir: Path
) -> None:
    """A record may say of a capture that it is archived only: its process was killed when its rows had been stored."""
    lost = older()
    path = archive_dir / "captures" / f"{SECOND}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "normalized_at": None}))

    assert restore().code == 0
    assert ledger_state() == lost
    check_consistent()
    restate(source_dir, OTC, "104")
    ran = weekly(day=date(2025, 12, 16))
    assert (ran.code, ran.document["steps"][2]["outcome"]) == (0, "RESTATED")


@pytest.mark.parametrize(("shares", "nth"), [("", 1), ("101", 2)], ids=["same", "other"])
def test_a_claim_keeps_its_id_from_other_bytes(
    ledger: Ledger, source_dir: Path, archive_dir: Path, shares: str, nth: int
) -> None:
    """A process that died before its commit leaves a claim: only the same bytes may have the id again."""
    publish_week(source_dir)
    archive_dir.with_name("empty").mkdir()
    dump = Prepared(archive_dir.with_name("empty"), archive_dir.with_name("dump"))
    assert weekly("--tiers", "OTC").code == 0
    path = archive_dir / "captures" / f"{capture_id(OTC)}.json"
    claim = path.read_bytes()
    dump.restore(archive_dir)
    path.parent.mkdir()
    path.with_suffix(".claim").write_bytes(claim)
    if shares:
        restate(source_dir, OTC, shares)
    assert weekly("--tiers", "OTC").code == 0
    assert Capture.objects.get().capture_id == capture_id(OTC, nth)
    assert f"{capture_id(OTC, nth)}.json" in records(archive_dir)


def test_a_capture_whose_process_died_is_confirmed_later(ledger: Ledger, source_dir: Path, archive_dir: Path) -> None:
    publish_week(source_dir)
    assert weekly("--tiers", "OTC").code == 0
    path = archive_dir / "captures" / f"{capture_id(OTC)}.json"
    path.rename(path.with_suffix(".claim"))
    assert call("check_archive", "--run-date", DAY).code == 0
    assert records(archive_dir) == [path.name]


def test_records_that_are_lost_are_written_again(ledger: Ledger, source_dir: Path, archive_dir: Path) -> None:
    publish_week(source_dir)
    assert weekly().code == 0
    before = {path.name: path.read_bytes() for path in (archive_dir / "captures").iterdir()}
    shutil.rmtree(archive_dir / "captures")
    assert weekly().code == 0
    assert {path.name: path.read_bytes() for path in (archive_dir / "captures").iterdir()} == before


@pytest.mark.parametrize("content", [b"", b"{}", b"no json", b'{"version": 1}'])
def test_a_record_that_cannot_be_read_keeps_its_id(
    ledger: Ledger, source_dir: Path, archive_dir: Path, content: bytes
) -> None:
    publish_week(source_dir)
    (archive_dir / "captures").mkdir(parents=True)
    (archive_dir / "captures" / f"{capture_id(OTC)}.json").write_bytes(content)
    assert weekly("--tiers", "OTC").code == 0
    assert Capture.objects.get().capture_id == capture_id(OTC, 2)
    assert timezone.now() > Capture.objects.get().captured_at
