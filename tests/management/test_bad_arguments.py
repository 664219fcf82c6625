"""What cannot be asked: every kind of bad argument, its message, exit code 2, and that nothing was written."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.models import Anomaly
from tests.management.calling import Ran, call, finish, start_on
from tests.management.publications import DAY, OLDER_WEEK, OTC, ROWS, WEEK, capture_id, content, publish, publish_week
from tests.support.engines import Ledger, cases
from tests.support.ledger_state import is_untouched_by

KNOWN = "known tiers: NMS_TIER_1, NMS_TIER_2, OTC"
AS_OTC = "ingest_file {folder}/{name} --tier OTC --week 2025-11-14 --run-date 2025-12-15"
FIRST = capture_id(OTC)
OLDER_OTC = OTC._replace(week_ending=OLDER_WEEK)


def _nothing(_folder: Path) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Bad:
    """A command line that cannot be, and a telling part of its message. `{folder}` is a folder of the test's own."""

    line: str
    message: str
    prepare: Callable[[Path], object] = field(default=_nothing)

    @property
    def needs_ledger(self) -> bool:
        """Whether it speaks of something that is there."""
        return FIRST in self.line + self.message or "{anomaly}" in self.line or "{resolved}" in self.line

    @property
    def found_while_parsing(self) -> bool:
        """Whether argparse refuses it, before `--json` is known."""
        return any(told in self.message for told in ("invalid ", "argument"))


def upload(name: str, message: str, prepare: Callable[[Path], object] = _nothing) -> Bad:
    """A file that `ingest_file` cannot read: `prepare` makes it at the path it is given."""
    return Bad(AS_OTC.replace("{name}", name), message, lambda folder: prepare(folder / name))


BAD = {
    "a week that is no Friday": Bad(
        "run_weekly --weeks 2025-11-13",
        "2025-11-13 is a Thursday; did you mean 2025-11-07 or 2025-11-14?",
    ),
    "a week that is no date": Bad("run_weekly --weeks 2025-11-31", "'2025-11-31' is not a date"),
    "an empty list of weeks": Bad("run_weekly --weeks=", "'' is not a date; write a week ending as YYYY-MM-DD"),
    "a week given twice": Bad(
        "run_weekly --weeks 2025-11-14,2025-11-14", "the week ending 2025-11-14 is given more than once"
    ),
    "a week still to come": Bad(
        "run_weekly --weeks 2025-12-19", "the week ending 2025-12-19 is still to come: today is 2025-12-15"
    ),
    "no week to look back": Bad("run_weekly --lookback-weeks 0", "--lookback-weeks must be at least 1, not 0"),
    "weeks less than none": Bad("run_weekly --lookback-weeks=-3", "--lookback-weeks must be at least 1, not -3"),
    "a look-back that is no number": Bad("run_weekly --lookback-weeks six", "invalid int value: 'six'"),
    "a list of weeks and a look-back": Bad(
        "run_weekly --weeks 2025-11-14 --lookback-weeks 2", "not allowed with argument --weeks"
    ),
    "an unknown tier": Bad("run_weekly --tiers OTC,T3", f"unknown tier 'T3'; {KNOWN}"),
    "a tier given twice": Bad("run_weekly --tiers OTC,otce", "the tier OTC is given more than once"),
    "an empty tier": Bad("run_weekly --tiers=", f"unknown tier ''; {KNOWN}"),
    "an unknown source": Bad("run_weekly --source ftp", "unknown source 'ftp': known are"),
    "a source folder that is not there": Bad(
        "run_weekly --source-dir {folder}/nowhere", "/nowhere does not exist: create it, or set MARKETSPINE_SOURCE_DIR"
    ),
    "a source folder that is a file": Bad(
        "run_weekly --source-dir {folder}/file",
        "/file does not exist: create it, or set MARKETSPINE_SOURCE_DIR",
        lambda folder: (folder / "file").touch(),
    ),
    "a run date that is none": Bad(
        "run_weekly --run-date 15.12.2025", "--run-date: '15.12.2025' is not a date; write it as YYYY-MM-DD"
    ),
    "a run date without hyphens": Bad(
        "run_weekly --run-date 20251114", "--run-date: '20251114' is not a date; write it as YYYY-MM-DD"
    ),
    **{
        f"a run date to come ({words.split()[0]})": Bad(
            f"{words} --run-date 2999-11-22", "--run-date: 2999-11-22 is still to come; today is 20"
        )
        for words in (
            "run_weekly",
            "backfill --weeks 2025-11-14",
            "doctor",
            "probe_restatements",
            "resolve_anomaly 1 --note seen",
            "ingest_file {folder}/a --tier OTC --week 2025-11-14",
        )
    },
    "a week before FINRA published": Bad(
        "run_weekly --weeks 1999-12-31",
        "no week ending 1999-12-31: FINRA's first published week is the week ending 2014-05-16",
    ),
    "a range from before FINRA published": Bad(
        "backfill --from 1999-12-31 --to 2025-11-14", "no week ending 1999-12-31: FINRA's first published week is"
    ),
    "a look-back to before FINRA published": Bad(
        "run_weekly --lookback-weeks 1500", "weeks back from 2025-12-15 is too far"
    ),
    "a doctor's look-back to before FINRA published": Bad(
        "doctor --lookback-weeks 1500", "weeks back from 2025-12-15 is too far"
    ),
    "an unknown stage": Bad("run_weekly --only-stage parse", "invalid choice: 'parse'"),
    "an unknown mode": Bad("run_weekly --mode rehearse", "invalid choice: 'rehearse'"),
    "an unknown option": Bad("run_weekly --fast", "unrecognized arguments: --fast"),
    "force without a fetch (calc)": Bad(
        "run_weekly --force --only-stage calc",
        "--force captures again, and --only-stage calc fetches nothing: drop one",
    ),
    "force without a fetch (normalize)": Bad(
        "run_weekly --force --only-stage normalize",
        "--force captures again, and --only-stage normalize fetches nothing: drop one",
    ),
    "a range backwards": Bad(
        "backfill --from 2025-11-14 --to 2025-11-07", "the range is empty: 2025-11-14 is after 2025-11-07"
    ),
    "a range without an end": Bad(
        "backfill --from 2025-11-07", "name the weeks by --from and --to together, or by --weeks"
    ),
    "a range without a beginning": Bad("backfill --to 2025-11-07", "name the weeks by --from and --to together"),
    "a range and a list": Bad(
        "backfill --from 2025-11-07 --to 2025-11-14 --weeks 2025-11-14",
        "name the weeks by --from and --to together, or by --weeks",
    ),
    "no weeks at all": Bad("backfill", "name the weeks by --from and --to together, or by --weeks"),
    "a range that ends in the future": Bad(
        "backfill --from 2025-11-07 --to 2026-01-02", "the week ending 2026-01-02 is still to come"
    ),
    "a range from no Friday": Bad("backfill --from 2025-11-05 --to 2025-11-14", "2025-11-05 is a Wednesday"),
    "an unknown kind of partition": Bad("backfill --weeks 2025-11-14 --only late", "invalid choice: 'late'"),
    "an unknown capture": Bad(
        "show_capture finra.otc_transparency:OTC:2025-11-14:19990101",
        f"there is no capture 'finra.otc_transparency:OTC:2025-11-14:19990101'; of that partition there are: {FIRST}",
    ),
    "no capture id at all": Bad("show_capture", "the following arguments are required: CAPTURE"),
    "a capture id that is nonsense": Bad("show_capture nonsense", "there is no capture 'nonsense'"),
    "an unknown capture to compare with": Bad(f"diff_captures {FIRST} other", "there is no capture 'other'"),
    "captures of two partitions": Bad(
        f"diff_captures {FIRST} {capture_id(OLDER_OTC)}", "are captures of two partitions"
    ),
    "an unknown form": Bad(f"diff_captures {FIRST} {FIRST} --format xml", "invalid choice: 'xml'"),
    "an anomaly that does not exist": Bad("resolve_anomaly 999 --note seen", "there is no anomaly 999"),
    "an anomaly that is no number": Bad("resolve_anomaly one --note seen", "invalid int value: 'one'"),
    "an anomaly without a note": Bad("resolve_anomaly 1", "the following arguments are required: --note"),
    "an anomaly with an empty note": Bad(
        "resolve_anomaly {anomaly} --note=", "an anomaly is resolved by someone, with a note"
    ),
    "an anomaly resolved by nobody": Bad(
        "resolve_anomaly {anomaly} --note seen --by=", "an anomaly is resolved by someone, with a note"
    ),
    "an anomaly resolved before": Bad("resolve_anomaly {resolved} --note seen", "is not open"),
    "no weeks to look at": Bad("doctor --lookback-weeks 0", "the number of weeks must be at least 1, not 0"),
    "a file that is not there": upload("missing.psv", "missing.psv is not there (any more)"),
    "a folder for a file": upload("folder.psv", "folder.psv is a folder, not a file: put or name the", Path.mkdir),
    "a fifo for a file": upload("fifo.psv", "fifo.psv is a device, a pipe or a socket", os.mkfifo),
    "a file larger than the cap": upload(
        "large.psv", "large.psv has 4001 bytes, more than the 4000 allowed", lambda path: path.write_bytes(b"x" * 4001)
    ),
    "a gzip that is cut short": upload(
        "cut.psv.gz",
        "cut.psv.gz is cut short or damaged",
        lambda path: path.write_bytes(gzip.compress(content(OTC))[:-9]),
    ),
    "a gzip that is larger than the cap inside": upload(
        "bomb.psv.gz",
        "bomb.psv.gz is larger than 4000 bytes when decompressed",
        lambda path: path.write_bytes(gzip.compress(b"\0" * 100_000)),
    ),
    "a file of no tier": Bad(
        "ingest_file {folder}/a --tier AMEX --week 2025-11-14 --run-date 2025-12-15", f"unknown tier 'AMEX'; {KNOWN}"
    ),
    "a file of no Friday": Bad(
        "ingest_file {folder}/a --tier OTC --week 2025-11-15 --run-date 2025-12-15", "2025-11-15 is a Saturday"
    ),
    "a file of no week": Bad("ingest_file {folder}/a --tier OTC", "the following arguments are required: --week"),
}


@pytest.fixture
def folder(ledger: Ledger, source_dir: Path, tmp_path: Path, settings: Settings) -> Path:
    """An empty folder, and a small cap."""
    settings.MARKETSPINE_MAX_FILE_BYTES = 4000
    path = tmp_path / "uploads"
    path.mkdir()
    return path


def fill_ledger(source_dir: Path) -> None:
    """Two weeks captured, one anomaly open and one resolved."""
    publish_week(source_dir)
    publish(source_dir, OLDER_OTC)
    weeks = ("--weeks", f"{WEEK},{OLDER_WEEK}", "--tiers", "OTC", "--run-date", str(DAY))
    assert call("run_weekly", *weeks).code == 0
    for count in (1, 2):
        publish(source_dir, OTC, content(OTC, ROWS[:count]))
        assert call("run_weekly", *weeks).code == 1
    Anomaly.objects.earliest("pk").resolve(by="test", note="for the test")


def words(bad: Bad, folder: Path) -> list[str]:
    """The command line, with the run date where the command takes one and the line has none."""
    anomalies = list(Anomaly.objects.order_by("pk").values_list("pk", flat=True)) or [1]
    line = bad.line.format(folder=folder, anomaly=anomalies[-1], resolved=anomalies[0]).split()
    takes_day = line[0] not in ("show_capture", "diff_captures") and "--run-date" not in line
    return [*line, "--run-date", str(DAY)] if takes_day else line


@pytest.mark.promise(8)
@pytest.mark.parametrize(("ledger", "bad"), cases(BAD, lambda bad: bad.needs_ledger), indirect=["ledger"])
def test_bad_arguments_end_with_2_and_a_reason_and_write_nothing(folder: Path, source_dir: Path, bad: Bad) -> None:
    if bad.needs_ledger:
        fill_ledger(source_dir)
    bad.prepare(folder)
    ran: list[Ran] = []

    assert is_untouched_by(lambda: ran.extend(call(*words(bad, folder), *form) for form in ((), ("--json",))))

    plain, as_json = ran
    assert (plain.code, plain.out, as_json.code) == (2, "", 2)
    assert bad.message in plain.err
    assert "Traceback" not in plain.err
    if bad.found_while_parsing:
        assert as_json.out == ""
    else:
        assert list(as_json.document) == ["error", "exit_code"]
        assert bad.message in as_json.document["error"]
        assert as_json.document["exit_code"] == 2


COMMANDS = (
    ("run_weekly",),
    ("backfill", "--weeks", str(WEEK)),
    ("doctor",),
    ("show_capture", "x"),
    ("diff_captures", "x", "y"),
    ("resolve_anomaly", "1", "--note", "x"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_database_that_is_not_migrated(tmp_path: Path, command: tuple[str, ...]) -> None:
    ran = finish(start_on(f"sqlite:///{tmp_path / 'new.sqlite3'}", "manage.py", *command, "--json"))

    assert ran.code == 2
    assert ran.document == {
        "error": "the database is not migrated: run `python manage.py migrate` first",
        "exit_code": 2,
    }


@pytest.mark.parametrize(
    "url",
    ["sqlite:////nowhere/at/all.sqlite3", "postgresql://nobody@127.0.0.1:1/none"],
    ids=["sqlite", "postgresql"],
)
def test_a_database_that_is_not_there(url: str, archive_dir: Path) -> None:
    archive_dir.mkdir()  # that one is named and missing would be complained of, too
    ran = finish(start_on(url, "manage.py", "run_weekly"))

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("CommandError: the database cannot be used: ")
    assert ran.err.rstrip().endswith(
        "? If not, is DATABASE_URL right?" if "sqlite" in url else "? If so, is DATABASE_URL right?"
    )
