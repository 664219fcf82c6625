"""What a source may hold and must not pass: every kind of bad file, its anomaly, and the latest capture untouched."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import zstandard
from pytest_django import Settings

from pipeline.finra.calendar import Tier
from pipeline.finra.sources.files.file_names import file_name
from pipeline.models import Anomaly, Category, Severity
from tests.management.calling import Ran, call
from tests.management.publications import DAY, OTC, ROWS, WEEK, content, publish, publish_week
from tests.support.engines import Begin, Ledger, cases
from tests.support.ledger_state import LedgerState, archived_files, ledger_state
from tests.support.sources_in_memory import HEADER, psv

NAME = file_name(OTC)
GOOD = content(OTC)
LINES = GOOD.decode().splitlines()
BROKEN = b"OTC|BAD|Bad Inc|UBSA NAME|UBSA|many|1|2025-12-15\n"


@dataclass(frozen=True)
class Bad:
    """A file, how it comes to be in the source folder, and what is told of it."""

    message: str
    write: Callable[[Path], object]
    category: Category = Category.UNREADABLE
    severity: Severity = Severity.ERROR
    outcome: str = "FAILED"


def of(message: str, text: bytes) -> Bad:
    """A file that holds `text`."""
    return Bad(message, lambda folder: (folder / NAME).write_bytes(text))


def unsafe(message: str, write: Callable[[Path], object]) -> Bad:
    """A file that is never read."""
    return Bad(message, write, Category.FETCH_FAILED)


def shrunk(message: str, text: bytes) -> Bad:
    """A file that is readable, and less than there was."""
    return replace(of(message, text), category=Category.REFUSED, outcome="REFUSED")


def instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Remove the good file, and put something else in its place."""

    def write(folder: Path) -> None:
        (folder / NAME).unlink()
        make(folder / NAME)

    return write


def with_column(name: str) -> bytes:
    """The good file with one more column."""
    return "\n".join([f"{LINES[0]}|{name}", *(f"{line}|x" for line in LINES[1:])]).encode()


def _outside(path: Path) -> None:
    secret = path.parent.parent / "secret.psv"
    secret.write_bytes(GOOD)
    path.symlink_to(secret)


def gzipped(stored: bytes) -> Callable[[Path], None]:
    """Replace the good file with a compressed one of these bytes."""
    return instead(lambda path: path.with_name(f"{NAME}.gz").write_bytes(stored))


def zipped(name: str) -> bytes:
    """A ZIP archive of the good file under a name."""
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr(name, GOOD)
    return stored.getvalue()


BAD = {
    "empty": of("otc_week_2025-11-14.psv: the body is empty", b""),
    "blank": of("otc_week_2025-11-14.psv: the body is empty", b"\n \r\n"),
    "an HTML page": of("otc_week_2025-11-14.psv: this is an HTML or XML page", b"<!DOCTYPE html><title>503</title>"),
    "an XML error": of(
        "otc_week_2025-11-14.psv: this is an HTML or XML page", b"\n<?xml version='1.0'?><Error>AccessDenied</Error>"
    ),
    "a JSON object": of("otc_week_2025-11-14.psv: this is JSON", b'{"message": "Too many requests"}'),
    "a JSON list": of("otc_week_2025-11-14.psv: this is JSON", b"[]"),
    "latin-1": of(
        "otc_week_2025-11-14.psv: not UTF-8 text (line 2, byte ",
        GOOD.replace(b"AAPL Inc", "Soci\u00e9t\u00e9".encode("latin-1")),
    ),
    "UTF-16": of("otc_week_2025-11-14.psv: this is UTF-16 text: save it as UTF-8", GOOD.decode().encode("utf-16")),
    "UTF-16 without its mark": of(
        "otc_week_2025-11-14.psv: this is UTF-16 text: save it", GOOD.decode().encode("utf-16-be")
    ),
    "UTF-32": of("otc_week_2025-11-14.psv: this is UTF-32 text: save it as UTF-8", GOOD.decode().encode("utf-32")),
    "a ZIP archive": of(
        "otc_week_2025-11-14.psv: this is a ZIP archive: unpack it, and take the file that is in it", zipped(NAME)
    ),
    "an Excel workbook": of(
        "otc_week_2025-11-14.psv: this is an Excel workbook: save the sheet as", zipped("xl/workbook.xml")
    ),
    "compressed twice": Bad(
        "otc_week_2025-11-14.psv.gz: this is data compressed with gzip: it was compressed twice",
        gzipped(gzip.compress(gzip.compress(GOOD))),
    ),
    "compressed under a plain name": of("its name does not say how it is compressed", gzip.compress(GOOD)),
    "zstd within gzip": Bad(
        "this is data compressed with zstd: it was", gzipped(gzip.compress(zstandard.compress(GOOD)))
    ),
    "bzip2": of("otc_week_2025-11-14.psv: this is data compressed with bzip2: decompress it", bz2.compress(GOOD)),
    "xz": of("otc_week_2025-11-14.psv: this is data compressed with xz: decompress it", lzma.compress(GOOD)),
    "a PDF": of("otc_week_2025-11-14.psv: this is a PDF document", b"%PDF-1.7\n" + GOOD),
    "a comma for a pipe": of(
        "the header's columns are not FINRA's (missing: 'tierDescription'", GOOD.replace(b"|", b",")
    ),
    "a column is missing": of(
        "otc_week_2025-11-14.psv: the header's columns are not FINRA's (missing: 'MPID')",
        psv(*LINES[1:]).replace(b"|MPID|", b"|"),
    ),
    "a column is unknown": of(
        "otc_week_2025-11-14.psv: the header's columns are not FINRA's (unknown: 'notional')",
        with_column("notional"),
    ),
    "a column is there twice": of(
        "otc_week_2025-11-14.psv: the header's columns are not FINRA's (more than once: 'MPID')",
        with_column("MPID"),
    ),
    "a column is spelled otherwise": of("missing: 'MPID'; unknown: 'mpid'", GOOD.replace(b"MPID", b"mpid")),
    "no header": of("the header's columns are not FINRA's (missing:", GOOD.split(b"\n", 1)[1]),
    "too many rejects": of("1 of 5 rows were rejected, more than 2% allows: line 6 BAD_SHARES", GOOD + BROKEN),
    "a duplicated row": of(
        "1 of 5 rows were rejected, more than 2% allows: line 6 DUPLICATE_KEY", GOOD + GOOD.splitlines()[1]
    ),
    "another tier": of(
        "4 of 4 rows were rejected, more than 2% allows: line 2 WRONG_TIER", content(OTC._replace(tier=Tier.NMS_TIER_2))
    ),
    "cut within a line": shrunk("truncated: otc_week_2025-11-14.psv ends in the midst of line 5; fetch it", GOOD[:-20]),
    "header only": shrunk(
        "the payload has no rows: that means nothing published, never an empty week", HEADER.encode()
    ),
    "shrunk": shrunk("restates 50% of the 4 rows held, more than the 25% allowed", content(OTC, ROWS[:2])),
    "plain and compressed at once": unsafe(
        "otc_week_2025-11-14.psv and otc_week_2025-11-14.psv.gz are both there: remove the one that is not meant",
        lambda folder: publish(folder, OTC, suffix=".gz"),
    ),
    "larger than the cap": unsafe(
        "otc_week_2025-11-14.psv has 4001 bytes, more than the 4000 allowed",
        lambda folder: (folder / NAME).write_bytes(b"x" * 4001),
    ),
    "larger than the cap inside": unsafe(
        "otc_week_2025-11-14.psv.gz is larger than 4000 bytes when decompressed",
        gzipped(gzip.compress(b"\0" * 1_000_000)),
    ),
    "a gzip that is cut short": unsafe(
        "otc_week_2025-11-14.psv.gz is cut short or damaged", gzipped(gzip.compress(GOOD)[:-8])
    ),
    "a gzip by its name only": unsafe("otc_week_2025-11-14.psv.gz is cut short or damaged", gzipped(GOOD)),
    "a link out of the folder": unsafe(
        "otc_week_2025-11-14.psv is a link that leads out of the source folder: put the file itself there",
        instead(_outside),
    ),
    "a link to nothing": unsafe(
        "otc_week_2025-11-14.psv is not there (any more), or is a link to nothing",
        instead(lambda path: path.symlink_to("nothing.psv")),
    ),
    "a fifo": unsafe("otc_week_2025-11-14.psv is a device, a pipe or a socket", instead(os.mkfifo)),
    "a folder": unsafe("otc_week_2025-11-14.psv is a folder, not a file: put or name", instead(Path.mkdir)),
}


# What a file is gets found out before any database is asked; what is then written, one of each kind shows on each.
ON_EACH = [BAD[name] for name in ("latin-1", "too many rejects", "header only", "shrunk", "a gzip that is cut short")]
CASES = cases(BAD, lambda bad: bad in ON_EACH)


@pytest.fixture(autouse=True)
def _limits(settings: Settings) -> None:
    """The limits that the messages name."""
    settings.MARKETSPINE_MAX_FILE_BYTES = 4000
    settings.MARKETSPINE_MAX_REJECT_SHARE = 0.02
    settings.MARKETSPINE_MAX_RESTATED_SHARE = 0.25


def week_captured(source_dir: Path) -> None:
    publish_week(source_dir)
    assert weekly().code == 0


@pytest.fixture
def held(begin: Begin) -> LedgerState:
    """What the ledger says once a week is captured; its files stand in the source folder."""
    begin(week_captured)
    return ledger_state()


def weekly() -> Ran:
    """Capture the week."""
    return call("run_weekly", "--weeks", WEEK, "--run-date", DAY, "--json")


@pytest.mark.promise(3, 4)
@pytest.mark.parametrize(("ledger", "bad"), CASES, indirect=["ledger"])
def test_a_bad_file_fails_its_partition_and_leaves_every_capture(held: LedgerState, source_dir: Path, bad: Bad) -> None:
    bad.write(source_dir)

    ran = weekly()

    assert ran.code == 1
    assert [step["outcome"] for step in ran.document["steps"]] == ["UNCHANGED", "UNCHANGED", bad.outcome]
    assert bad.message in ran.document["steps"][2]["reason"]
    anomaly = Anomaly.objects.get()
    assert (anomaly.category, anomaly.severity, anomaly.partition and anomaly.partition.key) == (
        bad.category,
        bad.severity,
        OTC,
    )
    assert anomaly.message == ran.document["steps"][2]["reason"]
    assert ledger_state().partitions == held.partitions
    assert ledger_state().weeks[WEEK].inputs == held.weeks[WEEK].inputs


@pytest.mark.parametrize(("ledger", "bad"), CASES, indirect=["ledger"])
def test_a_bad_file_is_no_first_capture_either(ledger: Ledger, source_dir: Path, bad: Bad) -> None:
    publish(source_dir, OTC)
    bad.write(source_dir)

    ran = call("run_weekly", "--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY, "--json")

    if bad.message.startswith("restates "):
        assert ran.document["steps"][0]["outcome"] == "INGESTED"  # there is nothing yet that it is less than
        return
    assert ran.code == 1
    assert ledger_state().partitions == {}


def test_an_unreadable_payload_is_kept_for_inspection(held: LedgerState, source_dir: Path) -> None:
    (source_dir / NAME).write_bytes(b"<html>")

    weekly()

    payload = Anomaly.objects.get().payload_sha256
    assert [name for name in archived_files() if payload in name]


def test_the_same_bad_file_again_is_counted_and_not_repeated(held: LedgerState, source_dir: Path) -> None:
    (source_dir / NAME).write_bytes(b"<html>")

    for _ in range(3):
        weekly()

    assert Anomaly.objects.get().occurrences == 3
