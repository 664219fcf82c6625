"""The commands that `doctor` prints, run until it is content: every week of its window may then be used, whatever was wrong.

As an operator does it: the cause is mended where it is outside (the right file is put in place, the line is back), then the
commands are run as they are printed.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from pytest_django import Settings

from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier, is_due, look_back
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Capture,
    Category,
    Partition,
    Readiness,
    Severity,
    Stage,
)
from pipeline.review import dashboard
from pipeline.runs import lifecycle, sources
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from pipeline.vintages import archive
from pipeline.weeks import analytics
from tests.management.calling import Ran, call
from tests.management.publications import DAY, OTC, ROWS, WEEK, content, publish, restate
from tests.support.engines import Begin, Ledger

RUN_DATE = ("--run-date", str(DAY))
DUE = [key for week in look_back(1, DAY) for tier in Tier if is_due(key := PartitionKey(week, tier), DAY)]
MOST_COMMANDS = 8


@pytest.fixture(autouse=True)
def _one_week(settings: Settings) -> None:
    """The window is the newest week of which all tiers are due, and the newer ones."""
    settings.MARKETSPINE_LOOKBACK_WEEKS = 1


def all_due(source_dir: Path) -> None:
    for key in DUE:
        publish(source_dir, key)
    assert weekly().code == 0


@pytest.fixture
def captured(begin: Begin, source_dir: Path) -> Path:
    """The source folder; what is due of it is captured."""
    begin(all_due)
    return source_dir


def weekly(*arguments: str) -> Ran:
    return call("run_weekly", *RUN_DATE, *arguments)


def doctor() -> Ran:
    return call("doctor", *RUN_DATE)


def printed() -> list[str]:
    """The commands, in their order."""
    return [finding["command"] for finding in call("doctor", *RUN_DATE, "--json").document["findings"]]


def follow_the_doctor() -> list[str]:
    """Run the first command printed, as printed, and look again, until nothing is; the commands."""
    done: list[str] = []
    while commands := printed():
        assert len(done) < MOST_COMMANDS, done
        _, _, name, *arguments = shlex.split(commands[0])
        call(name, *arguments)
        done.append(commands[0])
    return done


def blocked() -> bool:
    return Readiness.objects.filter(state="BLOCKED").exists()


def held() -> Capture:
    return Capture.objects.filter(partition__tier=OTC.tier, partition__week_ending=WEEK).latest("version")


def of_otc() -> Partition:
    return Partition.objects.get(week_ending=WEEK, tier=OTC.tier)


def found(category: Category, severity: Severity = Severity.ERROR, stage: Stage = Stage.RAW) -> None:
    Anomaly.objects.record(category, severity, "found", partition=of_otc(), stage=stage)


# Each damages a captured week, and returns what mends the cause outside.
Mend = Callable[[], object]


def nothing() -> None:
    """Nothing outside is to be mended."""


def error_page(folder: Path) -> Mend:
    publish(folder, OTC, b"<html>down</html>")
    weekly()
    return lambda: publish(folder, OTC)


def refused_and_put_right(folder: Path) -> Mend:
    publish(folder, OTC, content(OTC, ROWS[:1]))
    weekly()
    return lambda: publish(folder, OTC)


def failed_fetch(folder: Path) -> Mend:
    path = publish(folder, OTC)
    path.unlink()
    path.symlink_to(folder / "nowhere" / "at all")
    weekly()

    def mend() -> None:
        path.unlink()
        publish(folder, OTC)

    return mend


def gave_up(_folder: Path) -> Mend:
    found(Category.FETCH_FAILED, Severity.WARN)
    return nothing


def stalled(_folder: Path) -> Mend:
    found(Category.STALLED, Severity.CRITICAL)
    return nothing


def broke_down_fetching(_folder: Path) -> Mend:
    found(Category.INTERNAL)
    return nothing


def broke_down_reading(_folder: Path) -> Mend:
    found(Category.INTERNAL, stage=Stage.NORMALIZED)
    return nothing


def archived_only(folder: Path) -> Mend:
    restate(folder, OTC)
    weekly("--only-stage", "ingest")
    return nothing


def uncalculated(folder: Path) -> Mend:
    restate(folder, OTC)
    weekly("--only-stage", "ingest")
    weekly("--only-stage", "normalize")
    return nothing


def calculated_by_an_older_version(_folder: Path) -> Mend:
    AnalyticsSnapshot.objects.filter(week_ending=WEEK).update(calculation_version=0)
    return nothing


def calculation_failed(_folder: Path) -> Mend:
    Anomaly.objects.record(Category.CALC_FAILED, Severity.ERROR, "a bug", week_ending=WEEK, stage=Stage.CALC)
    return nothing


def sums_differ(_folder: Path) -> Mend:
    found(Category.UNRECONCILED, stage=Stage.NORMALIZED)
    return nothing


def critical_of_the_week(_folder: Path) -> Mend:
    Anomaly.objects.record(Category.INTERNAL, Severity.CRITICAL, "ours", week_ending=WEEK)
    return nothing


def payload_lost(_folder: Path) -> Mend:
    default_storage.delete(archive.path_of(held().payload_sha256))
    return nothing


def payload_damaged(_folder: Path) -> Mend:
    path = Path(default_storage.path(archive.path_of(held().payload_sha256)))
    path.chmod(0o644)
    path.write_bytes(b"rubbish")
    call("check_archive", "--all", *RUN_DATE)
    return nothing


def no_rows(folder: Path) -> Mend:
    publish(folder, OTC, content(OTC, ()))
    weekly("--tiers", "OTC", "--force", "--reason", "a mistake")
    return lambda: publish(folder, OTC)


def killed_before_the_verdict(folder: Path) -> Mend:
    """A capture was made, and its process died before the week was judged."""
    restate(folder, OTC)
    assert ingest.ingest(OTC, sources.source("files", str(folder)), Terms(run_date=DAY)).outcome == "RESTATED"
    analytics.calculate_week(WEEK)
    return nothing


def never_judged(_folder: Path) -> Mend:
    Readiness.objects.filter(week_ending=WEEK).delete()
    return nothing


def block(_folder: Path) -> Mend:
    Readiness.objects.block(WEEK, "something moved")
    return nothing


def cancelled(folder: Path) -> Mend:
    restate(folder, OTC)
    run = lifecycle.start(make_plan(Request(command="backfill", run_date=DAY, partitions=(OTC,)), {OTC}))
    call("cancel_run", run.pk, "--reason", "a mistake")
    found(Category.REFUSED)  # a wrong file of before, which that run was to mend
    return nothing


def refused_by_hand(folder: Path) -> Mend:
    path = folder / "by hand.txt"
    path.write_bytes(content(OTC, ROWS[:1]))
    assert call("ingest_file", path, "--tier", "OTC", "--week", WEEK, *RUN_DATE).code == 1
    return nothing


DAMAGES = [
    error_page,
    refused_and_put_right,
    failed_fetch,
    gave_up,
    stalled,
    broke_down_fetching,
    broke_down_reading,
    archived_only,
    uncalculated,
    calculated_by_an_older_version,
    calculation_failed,
    sums_differ,
    critical_of_the_week,
    payload_lost,
    payload_damaged,
    no_rows,
    killed_before_the_verdict,
    never_judged,
    block,
    cancelled,
    refused_by_hand,
]


@pytest.mark.promise(8, 14)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.replace("_", " "))
def test_the_printed_commands_repair_every_damage(captured: Path, damage: Callable[[Path], Mend]) -> None:
    mend = damage(captured)
    assert doctor().code == 1

    mend()
    assert follow_the_doctor()

    assert doctor().code == 0
    assert not blocked()
    assert {cell.state for row in dashboard.weeks(DAY) for cell, _ in row.cells} <= {"GOOD", "NOT_YET_DUE"}
    assert weekly().code == 0


@pytest.mark.promise(14)
def test_files_that_come_late_are_captured_by_the_backfills_printed(ledger: Ledger, source_dir: Path) -> None:
    assert weekly().code == 1
    for key in DUE:
        publish(source_dir, key)
    commands = follow_the_doctor()
    assert len(commands) == 3  # one for each tier
    assert (doctor().code, blocked(), Anomaly.objects.open().count()) == (0, False, 0)


@pytest.mark.promise(14)
def test_a_first_run_leaves_nothing_blocked_and_the_doctor_agrees(captured: Path) -> None:
    assert (doctor().code, blocked(), printed()) == (0, False, [])


@pytest.mark.promise(14)
def test_after_a_resolve_the_cell_the_doctor_and_readiness_agree(captured: Path) -> None:
    publish(captured, OTC, content(OTC, ROWS[:1]))
    weekly()
    assert call("resolve_anomaly", Anomaly.objects.get().pk, "--note", "what is held stands", *RUN_DATE).code == 0
    (cell,) = (cell for row in dashboard.weeks(DAY) for cell, _ in row.cells if (cell.week_ending, cell.tier) == OTC)
    assert (cell.state, doctor().code, blocked()) == ("GOOD", 0, False)


@pytest.mark.promise(8, 14)
def test_a_run_is_not_good_while_something_blocks_its_weeks(captured: Path) -> None:
    found(Category.UNRECONCILED, stage=Stage.NORMALIZED)
    assert (weekly().code, doctor().code) == (1, 1)
    assert weekly("--tiers", "NMS_TIER_2").code == 0
    follow_the_doctor()
    assert (weekly().code, doctor().code) == (0, 0)


def test_the_summary_names_blocks_of_other_weeks(ledger: Ledger, source_dir: Path) -> None:
    publish(source_dir, OTC)
    ran = call("backfill", "--weeks", WEEK, "--tiers", "OTC", *RUN_DATE)
    said = "0 (every due partition of this run is good; what blocks a week was not part of it, see doctor)"
    assert (ran.code, said in ran.out, doctor().code) == (0, True, 1)


@contextmanager
def read_only() -> Iterator[None]:
    """The database refuses every write."""
    on, off = (
        ("PRAGMA query_only = ON", "PRAGMA query_only = OFF")
        if connection.vendor == "sqlite"
        else ("SET default_transaction_read_only = on", "SET default_transaction_read_only = off")
    )
    with connection.cursor() as cursor:
        cursor.execute(on)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(off)


@pytest.mark.parametrize("damage", [nothing, error_page, uncalculated, payload_lost, block], ids=lambda d: d.__name__)
def test_it_reads_only_on_a_database_that_is_read_only(captured: Path, damage: Callable[..., object]) -> None:
    if damage is not nothing:
        damage(captured)
    expected = doctor()
    with read_only():
        ran = doctor()
    assert (ran.code, ran.out) == (expected.code, expected.out)
    assert ran.code == (0 if damage is nothing else 1)
