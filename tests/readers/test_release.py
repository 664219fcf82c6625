"""Releases: DuckDB, polars and pandas read every file with equal types and sums; linked where nothing changed; verified."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import duckdb
import frictionless
import pandas as pd
import polars as pl
import pytest
import time_machine
from pytest_django import Settings

from pipeline import readers
from pipeline.models import Anomaly, Capture, Category, DataKind, LedgerKind, Severity
from pipeline.readers.dictionary import DATASETS
from pipeline.readers.fields import TERMS
from pipeline.readers.release import build, checked
from pipeline.weeks import analytics, readiness
from tests.readers.test_revisions import DAY, DUE, A, B, C, capture_at
from tests.readers.test_rows import kind_of
from tests.support.capturing import KEY, WEEK
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, row

EARLIER = KEY._replace(week_ending=WEEK - 7 * DAY)


@pytest.fixture
def source(ledger: Ledger, few_rows: None) -> Iterator[MemorySource]:
    """Two weeks, the later of which was restated; the clock stands after that."""
    source = MemorySource()
    capture_at(source, DUE, [row("AAPL", "UBSA", "1.5", updated="2025-12-08")], key=EARLIER)
    capture_at(source, DUE, A)
    capture_at(source, DUE + 7 * DAY, B)
    analytics.calculate_week(WEEK)
    with time_machine.travel(DUE + 10 * DAY, tick=False):
        yield source


def judged_at(at: datetime) -> None:
    with time_machine.travel(at, tick=False):
        readiness.decide_week(WEEK, at.date())


def resources(path: Path) -> list[dict[str, object]]:
    return json.loads((path / "datapackage.json").read_bytes())["resources"]  # type: ignore[no-any-return]


def test_a_release_of_samples_says_that_it_is_invented(source: MemorySource, tmp_path: Path) -> None:
    LedgerKind.objects.update(kind=DataKind.SAMPLES)
    made = build.release(tmp_path, {}, incremental=False)

    assert "**SAMPLES: all of this is invented data, none of it is FINRA's.**" in (made.path / "README.md").read_text()
    assert json.loads((made.path / "datapackage.json").read_bytes())["samples"] is True
    footers = [pl.read_parquet_metadata(path)["marketspine"] for path in made.path.rglob("*.parquet")]
    assert all(json.loads(footer)["samples"] is True for footer in footers)
    assert list(checked.verify(made.path).differences) == []


def test_complaints_25_26_27_every_file_is_read_alike_by_duckdb_polars_and_pandas(
    source: MemorySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = build.release(tmp_path / "releases", {}, incremental=False)
    monkeypatch.chdir(made.path)

    found = resources(made.path)
    assert {one["dataset"] for one in found} == {
        *("rows", "row_history", "venue_history", "market", "symbol_history", "symbol_venues"),
        *("restatements", "captures", "differences", "partitions", "weeks", "readiness", "revision_profile"),
        "readiness_changes",
    }
    for one in found:
        path, schema = str(one["path"]), DATASETS[str(one["dataset"])].schema
        assert "=" not in path
        polars, pandas = pl.read_parquet(path), pd.read_parquet(path, dtype_backend="pyarrow")
        duck = duckdb.connect().from_parquet(path)
        assert polars.schema == duck.pl().schema == pl.from_pandas(pandas).schema == schema, path
        assert polars.height == duck.count("*").fetchall()[0][0] == len(pandas) == one["rows"]
        for name, kind in schema.items():
            if isinstance(kind, pl.Decimal) and polars.height:
                sums = {polars[name].sum(), duck.sum(f'"{name}"').fetchall()[0][0], pandas[name].sum() or None}
                assert len({Decimal(value or 0) for value in sums}) == 1, (path, name)


def test_the_folder_of_a_dataset_is_one_table_in_each_library(
    source: MemorySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_at(DUE + 8 * DAY)
    made = build.release(tmp_path / "releases", {}, incremental=False)
    monkeypatch.chdir(made.path)

    assert pl.scan_parquet("rows").collect().height == len(pd.read_parquet("rows", dtype_backend="pyarrow")) == 4
    duck = duckdb.connect()
    duck.execute(Path("catalog.sql").read_text())
    assert duck.sql("select count(*), sum(shares) from rows").fetchall() == [(4, Decimal("301.500000"))]
    then = duck.sql(
        f"select symbol, shares from rows_as_of(timestamptz '{DUE + DAY}') where week_ending = '{WEEK}' order by 1"
    )
    assert then.fetchall() == [("AAPL", 100), ("BRKB", 100), ("IBM", 50)]
    changes = duck.sql(
        f"select mpid, share_before, rank_change from venue_changes where week_ending = '{WEEK}' and mpid <> ''"
    )
    assert sorted(changes.fetchall()) == [("SGMT", None, None), ("UBSA", 1.0, 0)]
    assert frictionless.Package(str(made.path / "datapackage.json")).resource_names
    captured = Capture.objects.get(partition__week_ending=WEEK, version=2)
    assert pl.read_parquet("rows/OTC/2025-11-14.parquet").equals(readers.rows(capture=captured.capture_id).frame)
    footer = json.loads(pl.read_parquet_metadata("rows/OTC/2025-11-14.parquet")["marketspine"])
    assert (footer["dataset"], footer["captures"], footer["rows"]) == ("rows", [captured.capture_id], 3)
    assert (footer["terms"], footer["fields"]["trades"]["unit"]) == (TERMS, "trades")
    judged = "select state from readiness_as_of(timestamptz '{}') where use = 'trading'"
    assert duck.sql(judged.format(DUE)).fetchall() == []
    assert duck.sql(judged.format(DUE + 8 * DAY)).fetchall() == [("BLOCKED",)]
    assert duck.sql("select count(*) from readiness join weeks using (week_ending)").fetchall() == [(15,)], (
        "five weeks, three uses"
    )
    moved = duck.sql("select symbol, change, shares_before, shares_after from differences").fetchall()
    assert moved == [("AAPL", "changed", Decimal(100), Decimal(150))]


def test_a_later_release_links_what_did_not_change(source: MemorySource, tmp_path: Path) -> None:
    folder = tmp_path / "releases"
    first = build.release(folder, {}, incremental=True)
    with pytest.raises(build.NoRelease, match="is there already: nothing was captured since"):
        build.release(folder, {}, incremental=True)
    capture_at(source, DUE + 14 * DAY, C)
    with time_machine.travel(DUE + 15 * DAY, tick=False):
        second = build.release(folder, {}, incremental=True)

    same = "rows/OTC/2025-11-07.parquet", "row_history/OTC/2025-11-07.parquet", "readiness_changes.parquet"
    for path in same:
        assert os.stat(first.path / path).st_ino == os.stat(second.path / path).st_ino
    assert (first.linked, second.linked) == (0, 3)
    assert pl.read_parquet(second.path / "rows/OTC/2025-11-14.parquet")["version"].unique().to_list() == [3]
    assert checked.verify(folder).differences == ()
    assert build.remove_older(folder, 1) == [first.path]
    assert [path.name for path in folder.iterdir()] == [second.name]
    assert checked.verify(folder).differences == ()


def test_a_release_of_an_instant_is_as_it_was_known_then(
    source: MemorySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_at(DUE)
    Anomaly.objects.record(Category.UNREADABLE, Severity.ERROR, "a torn page", week_ending=WEEK)
    judged_at(DUE + 9 * DAY)
    made = build.release(tmp_path, {"as_of": "2025-12-16"}, incremental=False)
    rows = pl.read_parquet(made.path / "rows/OTC/2025-11-14.parquet")
    history = pl.read_parquet(made.path / "row_history/OTC/2025-11-14.parquet")

    assert (rows["version"].unique().to_list(), made.name) == ([1], "2025-12-17T045959Z")
    assert history["known_to"].to_list() == [None] * 3
    assert pl.read_parquet(made.path / "restatements.parquet").is_empty()
    assert not (made.path / "readiness.parquet").exists()
    verdicts = pl.read_parquet(made.path / "readiness_changes.parquet").filter(pl.col("use") == "trading")
    assert verdicts["reason_codes"].to_list() == [["NOT_CAPTURED", "NOT_CAPTURED"]], "the torn page was seen later"
    duck = duckdb.connect()
    monkeypatch.chdir(made.path)
    duck.execute(Path("catalog.sql").read_text())
    assert duck.sql("select version from rows where symbol = 'AAPL'").fetchall() == [(1,), (1,)]


def test_verify_tells_every_difference(source: MemorySource, tmp_path: Path) -> None:
    made = build.release(tmp_path, {}, incremental=False)
    assert checked.verify(made.path) == checked.Findings(1, made.files, ())
    spoilt = made.path / "rows/OTC/2025-11-07.parquet"
    spoilt.write_bytes(spoilt.read_bytes()[:-1] + b"?")
    (made.path / "market_week.parquet").unlink()
    (made.path / "mine.txt").write_text("mine")
    Capture.objects.filter(partition__week_ending=WEEK, version=2).update(trades=1)

    assert sorted(checked.verify(tmp_path).differences) == [
        f"{made.name}/market_week.parquet: cannot be read: No such file or directory",
        f"{made.name}/mine.txt: is not in datapackage.json",
        f"{made.name}/rows/OTC/2025-11-07.parquet: is not what was written: its hash differs",
        f"{made.name}/rows/OTC/2025-11-14.parquet: has rows, shares, trades (3, Decimal('300.000000'), 5), and the ledger "
        f"(3, Decimal('300.000000'), 1) of finra.otc_transparency:OTC:2025-11-14:20251222",
    ]
    with pytest.raises(build.NoRelease, match="has no release"):
        checked.verify(tmp_path / "elsewhere")


def test_what_a_killed_release_left_is_no_release_and_is_made_again(source: MemorySource, tmp_path: Path) -> None:
    folder = tmp_path / "releases"
    part = folder / f".{DUE:%Y-%m-%dT%H%M%SZ}.part"  # of an earlier moment: something was captured since
    part.mkdir(parents=True)
    (part / "half.parquet").write_bytes(b"")
    assert build.known_releases(folder) == []

    made = build.release(folder, {}, incremental=True)
    assert [path.name for path in folder.iterdir()] == [made.name]
    assert not (made.path / "half.parquet").exists()


def test_two_releases_at_once_are_made_one_after_the_other(source: MemorySource, tmp_path: Path) -> None:
    with build._alone_in(tmp_path), pytest.raises(build.NoRelease, match="another process is making a release here"):
        build.release(tmp_path, {}, incremental=False)
    assert build.release(tmp_path, {}, incremental=False).path.is_dir()


def test_files_are_handed_out_by_the_names_in_the_descriptor_alone(
    source: MemorySource, tmp_path: Path, settings: Settings
) -> None:
    assert readers.releases() == []
    assert kind_of(lambda: readers.release_file("x", "y")) == "unknown-release"
    settings.MARKETSPINE_RELEASES_DIR = str(tmp_path)
    made = build.release(tmp_path, {}, incremental=False)

    assert [one.name for one in readers.releases()] == [made.name]
    assert readers.release_file(made.name, "rows/OTC/2025-11-14.parquet").is_file()
    for name, path in ((made.name, "../secret"), (made.name, "rows"), (made.name, "/etc/passwd")):
        assert kind_of(partial(readers.release_file, name, path)) == "unknown-file"
    for name in ("..", "", ".", "../releases", "2025"):
        assert kind_of(partial(readers.release_file, name, "datapackage.json")) == "unknown-release"


def test_nothing_captured_is_no_release(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(build.NoRelease, match="nothing is captured"):
        build.release(tmp_path, {}, incremental=False)
