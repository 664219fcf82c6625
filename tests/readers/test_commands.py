"""`manage.py readiness` and `manage.py export`: exit codes, files, what goes to stdout, and that a file is never half."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import time_machine

from pipeline import readers
from pipeline.models import Readiness, ReadinessState, Use
from pipeline.weeks import readiness
from tests.management.calling import call
from tests.readers.test_revisions import DAY, DUE, A, B, capture_at
from tests.support.capturing import WEEK
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource

OTC = ("--tier", "OTC", "--week", str(WEEK))


@pytest.fixture
def _captured(ledger: Ledger, few_rows: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    source = MemorySource()
    capture_at(source, DUE, A)
    capture_at(source, DUE + 7 * DAY, B)
    monkeypatch.chdir(tmp_path)
    with time_machine.travel(DUE + 10 * DAY, tick=False):
        yield


def judged(state: ReadinessState, *reasons: str) -> None:
    readiness.decide_week(WEEK, DUE.date())
    Readiness.objects.filter(use=Use.TRADING).update(
        state=state, reasons=list(reasons), reason_codes=["REFUSED"] * len(reasons)
    )


@pytest.mark.usefixtures("_captured")
@pytest.mark.parametrize(
    ("state", "options", "code"),
    [
        (ReadinessState.READY, (), 0),
        (ReadinessState.PROVISIONAL, (), 1),
        (ReadinessState.PROVISIONAL, ("--allow-provisional",), 0),
        (ReadinessState.AWAITING_PUBLICATION, ("--allow-provisional",), 1),
        (ReadinessState.BLOCKED, ("--allow-provisional",), 1),
    ],
)
def test_the_exit_code_says_whether_a_week_may_be_used(
    state: ReadinessState, options: tuple[str, ...], code: int
) -> None:
    judged(state, "a reason")
    result = call("readiness", "--week", str(WEEK), *options)

    assert result.code == code
    assert result.out == f"2025-11-14  trading  {state}\n  REFUSED: a reason\n"


@pytest.mark.usefixtures("_captured")
def test_readiness_of_several_weeks_and_uses() -> None:
    judged(ReadinessState.READY)
    found = call("readiness", "--weeks", "2", "--run-date", "2025-12-24", "--json")

    assert (found.code, found.document["usable"], found.document["use"]) == (1, False, "trading")
    assert [(week["week_ending"], week["state"]) for week in found.document["weeks"]] == [
        ("2025-11-21", "BLOCKED"),
        ("2025-11-14", "READY"),
    ]
    assert call("readiness", "--run-date", "2025-12-16").code == 0
    assert call("readiness", "--week", str(WEEK), "--use", "research").code == 1
    for wrong in (
        ("--week", "2025-11-13"),
        ("--weeks", "0"),
        ("--week", "2026-11-13"),
        ("--weeks", "1", "--week", str(WEEK)),
    ):
        assert call("readiness", *wrong).code == 2


@pytest.mark.usefixtures("_captured")
def test_a_file_in_each_form_has_the_same_rows() -> None:
    expected = readers.rows(tier="OTC", week_ending=WEEK)
    for form in ("csv", "ndjson", "parquet"):
        done = call("export", "rows", *OTC, "--format", form)
        assert (done.code, done.out.split(":")[0]) == (0, f"rows.{form}")
    said = json.loads(Path("rows.csv.meta.json").read_text())

    assert Path("rows.csv").read_text() == expected.to_csv()
    assert Path("rows.ndjson").read_text() == expected.to_ndjson()
    assert pl.read_parquet("rows.parquet").equals(expected.frame)
    assert (said["rows"], said["inputs"][0]["version"], said["coverage"]["complete"]) == (3, 2, True)
    done = call("export", "rows", *OTC, "--out", "-", "--fields", "symbol,shares")
    assert done.out == "symbol,shares\nAAPL,150.000000\nBRKB,100.000000\nIBM,50.000000\n"
    assert call("export", "rows", *OTC, "--out", "x.csv.gz", "--gzip").code == 0
    assert gzip.decompress(Path("x.csv.gz").read_bytes()).decode() == expected.to_csv()


@pytest.mark.usefixtures("_captured")
def test_a_file_is_replaced_only_when_told_and_left_when_nothing_changed() -> None:
    assert call("export", "rows", *OTC, "--as-of", "2025-12-16", "--out", "a.csv").code == 0
    refused = call("export", "rows", *OTC, "--out", "a.csv")
    assert (refused.code, "a.csv is there already: --force replaces it" in refused.err) == (2, True)
    assert 'AAPL,AAPL Inc,UBSA,"",UBSA NAME,"",100.000000' in Path("a.csv").read_text()

    assert call("export", "rows", *OTC, "--out", "a.csv", "--force").code == 0
    before = Path("a.csv").stat().st_ino
    assert call("export", "rows", *OTC, "--out", "a.csv", "--if-changed").out.endswith(", unchanged\n")
    assert Path("a.csv").stat().st_ino == before
    other_form = call("export", "rows", *OTC, "--out", "a.csv", "--if-changed", "--format", "ndjson")
    assert (other_form.code, Path("a.csv").read_text()[:1]) == (0, "{")
    Path("a.csv").write_text("spoilt")
    assert call("export", "rows", *OTC, "--out", "a.csv", "--if-changed").code == 0
    assert "150.000000" in Path("a.csv").read_text()
    Path("link.csv").symlink_to("a.csv")
    assert call("export", "rows", *OTC, "--as-of", "2025-12-16", "--out", "link.csv", "--force").code == 0
    assert Path("link.csv").is_symlink()
    assert "100.000000" in Path("a.csv").read_text()
    assert not list(Path().glob(".*part"))


@pytest.mark.usefixtures("_captured")
def test_an_interrupted_export_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _interrupted)
    Path("made").mkdir()
    for asked in (("rows", *OTC, "--out", "made/rows.csv"), ("release", "made")):
        assert call("export", *asked).code == 2
    assert list(Path("made").iterdir()) == []


def _interrupted(_file: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("_captured")
def test_what_is_missing_is_the_exit_code_unless_it_may_be() -> None:
    whole = call("export", "market", "--week", str(WEEK), "--out", "m.csv")
    assert (whole.code, "incomplete: not in the answer" in whole.err) == (1, True)
    assert call("export", "market", "--week", str(WEEK), "--out", "m.csv", "--force", "--allow-incomplete").code == 0


@pytest.mark.usefixtures("_captured")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("rows", "--week", "2025-11-13"), "not-a-friday"),
        (("rows", "--symbol", "ZZZ"), "unknown-symbol"),
        (("rows", "--q", "AAPL"), "unknown-parameter: 'q' is not a parameter of rows"),
        (("rows", "--as-of", "2025-12-16", "--vintage", "first"), "selector-conflict"),
        (("rows", "--fields", "volume"), "unknown-field"),
        (("rows", "somewhere"), "only release and verify take a folder"),
        (("rows", "--out", ".", "--force"), ". is a folder: name a file in it"),
        (("rows", "--out", "", "--force"), ". is a folder: name a file in it"),
        (
            ("rows", "--out", "nowhere/rows.csv"),
            "--out nowhere/rows.csv: the folder nowhere is not there; make it first",
        ),
        (("release", "nowhere/releases"), "/nowhere is not there; make it first"),
        (("rows", "--out", "pipe", "--force"), "pipe is no regular file: `--out -` writes to stdout"),
        (("rows", "--gzip", "--format", "parquet"), "is compressed already"),
        (("release",), "name a folder, or set MARKETSPINE_RELEASES_DIR"),
        (("verify", "nowhere"), "nowhere has no release"),
    ],
)
def test_what_cannot_be_exported_says_why(options: tuple[str, ...], told: str) -> None:
    os.mkfifo("pipe")  # as /dev/null is none: root could write a file in its place
    done = call("export", *options)
    assert (done.code, told in done.err) == (2, True), done.err
    assert Path("pipe").is_fifo()
    assert not list(Path().glob("rows*"))


@pytest.mark.usefixtures("_captured")
def test_counting_describing_and_spreadsheets() -> None:
    size = len(readers.rows(tier="OTC", week_ending=WEEK, symbol="AAPL").to_csv())
    counted = call("export", "rows", *OTC, "--symbol", "AAPL", "--count-only").out
    assert counted.startswith("1 rows; about ")
    assert f", {size:,} bytes as csv, " in counted
    described = call("export", "rows", "--describe").out
    assert "FINRA's lastUpdateDate: the day of first publication until the row is revised" in described
    source = MemorySource()
    capture_at(source, DUE + 9 * DAY, [line.replace("IBM", "=1+1") for line in B])
    assert "'=1+1" in call("export", "rows", *OTC, "--out", "-", "--spreadsheet-safe").out
    assert ",=1+1," in call("export", "rows", *OTC, "--out", "-").out


@pytest.mark.usefixtures("_captured")
def test_a_release_is_made_linked_kept_and_verified_by_command() -> None:
    made = call("export", "release", "house", "--incremental", "--json")
    assert (made.code, made.document["linked"], made.document["release"]) == (0, 0, "2025-12-22T150000Z")
    assert call("export", "verify", "house").code == 0
    again = call("export", "release", "house")
    assert (again.code, "nothing was captured since" in again.err) == (2, True)
    assert call("export", "release", "house", "--if-changed", "--verify").out.endswith(": 0 differences\n")
    assert call("export", "release", "house", "--as-of", "2025-12-16", "--keep", "1").code == 0
    assert [path.name for path in Path("house").iterdir()] == ["2025-12-22T150000Z"]
    Path("house/2025-12-22T150000Z/catalog.sql").unlink()
    spoilt = call("export", "verify", "house")
    assert (spoilt.code, "catalog.sql: is missing" in spoilt.out) == (1, True)


@pytest.mark.usefixtures("_captured")
def test_a_capture_is_annulled_by_command() -> None:
    done = call("annul_capture", "OTC", str(WEEK), "--note", "the wrong file", "--by", "ann")
    assert done.code == 0
    assert "is annulled" in done.out
    assert readers.rows(tier="OTC").frame["version"].unique().to_list() == [3]
    assert call("annul_capture", "OTC", str(WEEK), "--note", "again").code == 2
