"""Sample publications: FINRA's format, its peculiarities, and the same bytes from the same seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey, Tier, due_date, is_business_day
from pipeline.finra.formats.web_file import COLUMNS
from pipeline.finra.payloads import SAMPLE_MARK, Part, PartName, pack
from pipeline.finra.samples import NotAPublication, Size, mark, publish, render, restate

WEEK = date(2025, 12, 26)


def rows(content: bytes) -> list[list[str]]:
    header, *lines = content.decode().removesuffix("\n").split("\n")
    assert header == "|".join(COLUMNS)
    return [line.split("|") for line in lines]


def small(tier: Tier, part: PartName, week: date = WEEK, seed: int = 7) -> bytes:
    return render(PartitionKey(week, tier), part, seed, Size.SMALL)


def simulate(*arguments: str) -> str:
    out = StringIO()
    call_command("simulate_source", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("tier", list(Tier))
def test_both_files_of_a_partition_parse_without_a_reject(tier: Tier) -> None:
    content, payload_format = pack(tuple(Part(part, small(tier, part)) for part in PartName))
    parsed = reader.read(content, payload_format, PartitionKey(WEEK, tier), max_reject_share=0)
    assert parsed.rows_in == parsed.rows_kept == sum(len(rows(small(tier, part))) for part in PartName)
    assert set(parsed.updates) == {due_date(tier, WEEK).isoformat()}


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib; from datetime import date; from pipeline.finra.calendar import PartitionKey, Tier\n"
        "from pipeline.finra.payloads import PartName; from pipeline.finra.samples import Size, render\n"
        "key = PartitionKey(date(2025, 12, 26), Tier.NMS_TIER_2)\n"
        "print(hashlib.sha256(render(key, PartName.ATS, 7, Size.SMALL)).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert small(Tier.NMS_TIER_2, PartName.ATS) != small(Tier.NMS_TIER_2, PartName.ATS, seed=8)


def test_a_week_does_not_depend_on_what_is_published_with_it(tmp_path: Path) -> None:
    publish(tmp_path / "one", weeks=[WEEK], seed=7, size=Size.SMALL)
    publish(tmp_path / "two", weeks=[WEEK, date(2025, 12, 19)], seed=7, size=Size.SMALL)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert len(list((tmp_path / "two").iterdir())) == 12


def test_what_trips_a_naive_parser_is_there() -> None:
    nms, otc = rows(small(Tier.NMS_TIER_2, PartName.ATS)), rows(small(Tier.OTC, PartName.ATS))
    symbols = {row[1] for row in nms}
    assert {"KESpD", "KESPD"} <= symbols
    assert "BRK.B" in {row[1] for row in rows(small(Tier.NMS_TIER_1, PartName.ATS))}
    assert "BOTHW" in symbols & {row[1] for row in rows(small(Tier.NMS_TIER_1, PartName.ATS))}
    assert len({row[2] for row in nms if row[1] == "TWIN"}) == 2
    assert any('"' in row[2] for row in nms)
    assert any("," in row[2] for row in nms)
    assert ("", "") in {(row[1], row[2]) for row in otc}
    assert [row[1] for row in nms] == sorted(row[1] for row in nms)


def test_fractional_shares_are_common_from_february_2026_and_rare_before() -> None:
    def fractional(week: date) -> float:
        found = rows(render(PartitionKey(week, Tier.NMS_TIER_1), PartName.ATS, 7, Size.REAL))
        return sum("." in row[5] for row in found) / len(found)

    assert fractional(date(2026, 2, 6)) == pytest.approx(0.13, abs=0.01)
    assert fractional(date(2026, 1, 30)) == pytest.approx(0.02, abs=0.005)


@pytest.mark.parametrize(("tier", "expected"), [(Tier.NMS_TIER_1, 72_000), (Tier.OTC, 24_000)])
def test_real_size_is_about_finras(tier: Tier, expected: int) -> None:
    made = [rows(render(PartitionKey(WEEK, tier), part, 7, Size.REAL)) for part in PartName]
    assert sum(map(len, made)) == pytest.approx(expected, rel=0.05)
    firms = made[1]
    total = sum(Decimal(row[5]) for row in firms)
    pooled = sum(Decimal(row[5]) for row in firms if row[3] == "De Minimis Firms")
    assert Decimal("0.26") < pooled / total < Decimal("0.36")
    assert not any(row[4] for row in firms)


@pytest.mark.parametrize(("tier", "expected"), list(zip(Tier, (360, 840, 120), strict=True)))
def test_small_size_is_a_two_hundredth(tier: Tier, expected: int) -> None:
    assert sum(len(rows(small(tier, part))) for part in PartName) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("part", "firm"), [(PartName.ATS, 4), (PartName.NON_ATS, 3)])
def test_a_natural_key_stands_once_in_a_part(part: PartName, firm: int) -> None:
    found = rows(render(PartitionKey(WEEK, Tier.OTC), part, 7, Size.REAL))
    assert len({(row[1], row[2], row[firm]) for row in found}) == len(found)


def test_a_restatement_touches_few_rows_and_moves_their_date(tmp_path: Path) -> None:
    publish(tmp_path, weeks=[WEEK, date(2025, 12, 19)], seed=7, size=Size.SMALL)
    before = {path.name: rows(path.read_bytes()) for path in tmp_path.iterdir()}
    restated = restate(tmp_path, seed=3, share=0.5)
    assert len(restated) == 3
    for file in restated:
        old, new = before[file.path.name], rows(file.path.read_bytes())
        fresh = [row for row in new if row not in old]
        assert (file.changed, len(fresh)) == (3, 3 + file.added)
        assert len(new) == len(old) + file.added - file.removed
        for row in fresh:
            moved = date.fromisoformat(row[7])
            assert moved > date.fromisoformat(old[0][7])
            assert is_business_day(moved)
    untouched = {path.name for path in tmp_path.iterdir()} - {file.path.name for file in restated}
    assert all(rows((tmp_path / name).read_bytes()) == before[name] for name in untouched)


def test_the_command_publishes_what_is_missing_and_restates(tmp_path: Path) -> None:
    said = simulate(str(tmp_path), "--weeks", "2", "--until", "2026-01-02")
    assert said.startswith("Wrote 12 samples, ")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert simulate(str(tmp_path), "--weeks", "2", "--until", "2026-01-02", "--seed", "8").startswith(
        "No sample is missing"
    )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    document = json.loads(simulate(str(tmp_path), "--restate", "0.5", "--json"))
    assert (document["files"], document["rows"], len(document["restated"])) == ([], 0, 3)


@pytest.mark.parametrize("part", list(PartName))
def test_a_sample_is_marked_at_every_venue_but_the_pool(part: PartName) -> None:
    marked, plain = (rows(content) for content in (mark(small(Tier.OTC, part)), small(Tier.OTC, part)))
    assert {row[3].removesuffix(SAMPLE_MARK) == row[3] for row in marked if row[3] != "De Minimis Firms"} == {False}
    assert [[*row[:3], row[3].removesuffix(SAMPLE_MARK), *row[4:]] for row in marked] == plain


def test_samples_hold_no_date_after_the_day_they_are_written(tmp_path: Path) -> None:
    for day in ("2026-01-20", "2026-01-21", "2026-02-09"):
        simulate(str(tmp_path), "--run-date", day)
        for seed in range(5):
            simulate(str(tmp_path), "--run-date", day, "--restate", "1", "--seed", str(seed))
        newest = max(row[7] for path in tmp_path.iterdir() for row in rows(path.read_bytes()))
        assert newest <= day
    assert max(path.name for path in tmp_path.glob("otc_*")) == "otc_week_2026-01-09.psv"  # published on 2026-02-09


def test_what_a_killed_run_left_half_written_is_no_publication(tmp_path: Path) -> None:
    (tmp_path / ".otc_week_2026-01-02.psv.partial").write_text("tierDesc")
    assert simulate(str(tmp_path), "--weeks", "1", "--until", "2026-01-02").startswith("Wrote 6 ")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("options", [(), ("--restate", "1")])
@pytest.mark.parametrize("name", ["otc_week_2026-01-02.psv", "notes.txt", "otc_week_2026-01-02.psv.gz"])
def test_a_folder_of_other_files_is_refused(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    (tmp_path / name).write_bytes(small(Tier.OTC, PartName.ATS))
    with pytest.raises(CommandError, match=f"holds '{name}', which is no sample") as refused:
        simulate(str(tmp_path), *options)
    assert refused.value.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_folder_of_ones_own_files_is_refused_empty_too(source_dir: Path) -> None:
    for folder in (source_dir, settings.VAR_DIR / "source"):
        with pytest.raises(CommandError, match="samples never go there") as refused:
            simulate(str(folder))
        assert refused.value.returncode == 2
    assert list(source_dir.iterdir()) == []


def test_a_share_of_none_restates_nothing_and_says_so(tmp_path: Path) -> None:
    simulate(str(tmp_path), "--weeks", "1", "--until", "2026-01-02")
    assert simulate(str(tmp_path), "--restate", "0") == f"Restated nothing in {os.path.relpath(tmp_path)}.\n"


@pytest.mark.parametrize(
    "content", ["", "<html>", "|".join(COLUMNS), "|".join(COLUMNS) + "\nOTC|A|B|C|D|many|1|2026-02-02"]
)
def test_a_file_that_is_no_publication_is_not_restated(tmp_path: Path, content: str) -> None:
    path = tmp_path / "otc_week_2026-01-02.psv"
    path.write_text(content)
    with pytest.raises(NotAPublication, match="cannot be restated"):
        restate(tmp_path, seed=7, share=1)
    with pytest.raises(CommandError, match="is no sample") as refused:
        simulate(str(tmp_path), "--restate", "1")
    assert refused.value.returncode == 2
    assert path.read_text() == content


def test_a_sample_that_is_no_publication_any_more_is_not_restated(tmp_path: Path) -> None:
    (tmp_path / "otc_week_2026-01-02.psv").write_text(f"<html>{SAMPLE_MARK}")
    with pytest.raises(CommandError, match="cannot be restated") as refused:
        simulate(str(tmp_path), "--restate", "1")
    assert refused.value.returncode == 2


def test_restating_an_empty_folder_publishes_first_and_prints_one_document(tmp_path: Path) -> None:
    arguments = ("--weeks", "1", "--until", "2026-01-02", "--restate", "1", "--json")
    assert len(json.loads(simulate(str(tmp_path / "new"), *arguments))["restated"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weeks", "0"), "--weeks must be at least 1, not 0"),
        (("--until", "2026-01-01"), "2026-01-01 is a Thursday; did you mean 2025-12-26 or 2026-01-02?"),
        (("--restate", "1.5"), "--restate is a share from 0 to 1, not 1.5"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        simulate(str(tmp_path), *arguments)
    assert refused.value.returncode == 2
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, message in (("file", "is not a folder"), ("file/below", "file is not a folder")):
        with pytest.raises(CommandError, match=message) as refused:
            simulate(str(tmp_path / folder))
        assert refused.value.returncode == 2
