"""Names of files in the source folder: those taken, those that come near, and two for one partition."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.sources.base import NotPublished, SourceError
from pipeline.finra.sources.files.file_names import first_of, near_misses
from pipeline.finra.sources.files.source import FilesSource
from pipeline.models import Anomaly, Capture
from tests.management.calling import call
from tests.management.publications import DAY, WEEK, content
from tests.management.publications import OTC as PUBLISHED
from tests.support.engines import Ledger

OTC = PartitionKey(date(2025, 11, 14), Tier.OTC)
TIER_1 = OTC._replace(tier=Tier.NMS_TIER_1)
TIER_2 = OTC._replace(tier=Tier.NMS_TIER_2)
RIGHT = "otc_week_2025-11-14.psv"


@pytest.mark.parametrize(
    "name",
    [
        "otc_week_2025-11-14.PSV",
        "otc_week_2025-11-14.csv",
        "otc_week_2025-11-14.Csv",
    ],
)
def test_a_name_that_leaves_no_doubt_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    source = FilesSource(tmp_path, 100)
    assert source.available([OTC, TIER_1]) == {OTC}
    assert source.fetch(OTC).uri == f"files:{name}"


def test_both_halves_are_taken_under_any_of_their_names(tmp_path: Path) -> None:
    for name in ("otc_week_2025-11-14.CSV", "otc_week_2025-11-14.NonATS.csv"):
        (tmp_path / name).write_bytes(b"x")
    uri = FilesSource(tmp_path, 100).fetch(OTC).uri
    assert uri == "files:otc_week_2025-11-14.CSV+otc_week_2025-11-14.NonATS.csv"


@pytest.mark.parametrize("other", ["otc_week_2025-11-14.csv", "otc_week_2025-11-14.PSV", "otc_week_2025-11-14.psv.gz"])
def test_two_files_for_one_half_are_refused_with_both_names(tmp_path: Path, other: str) -> None:
    for name in (RIGHT, other):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SourceError) as refused:
        FilesSource(tmp_path, 100).fetch(OTC)
    assert f"{' and '.join(sorted((RIGHT, other)))} are both there" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "key", "right"),
    [
        ("otc_week_2025-11-14 (1).psv", OTC, RIGHT),
        ("otc_week_2025-11-10.psv", OTC, RIGHT),  # its Monday
        ("OTC_week_2025-11-14.psv", OTC, RIGHT),
        ("OTC week 2025-11-14.csv", OTC, RIGHT),
        ("otc_week_2025-11-14.txt", OTC, RIGHT),
        ("otc_week_20251114.psv", OTC, RIGHT),
        ("otc-weekly-11-10-2025.csv.gz", OTC, f"{RIGHT}.gz"),
        ("otc_week_2025-11-14_nonats.psv", OTC, "otc_week_2025-11-14.nonats.psv"),
        ("NMS Tier 1 2025-11-10.csv", TIER_1, "nms_tier_1_week_2025-11-14.psv"),
        ("t2_week_2025-11-14.psv", TIER_2, "nms_tier_2_week_2025-11-14.psv"),
    ],
)
def test_a_name_that_comes_near_is_told_with_the_right_one(
    tmp_path: Path, name: str, key: PartitionKey, right: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    source = FilesSource(tmp_path, 100)
    assert source.available([OTC, TIER_1, TIER_2]) == set()
    with pytest.raises(NotPublished) as missing:
        source.fetch(key)
    assert str(missing.value).endswith(f"; '{name}' is there: if it is meant, name it {right}")
    for other in {OTC, TIER_1, TIER_2} - {key}:
        assert near_misses(other, [name]) == []


@pytest.mark.parametrize(
    "name",
    [
        "otc_week_2025-11-07.psv",
        "otc_week_2025-11-07 (1).psv",
        "notes 2025-11-14.txt",
        "otc.psv",
        ".otc_week_2025-11-14 (1).psv",
    ],
)
def test_other_files_are_not_told(name: str) -> None:
    assert near_misses(OTC, [name]) == []


def test_many_near_misses_and_odd_names_stay_short() -> None:
    names = [f"otc_week_2025-11-14 ({n}).psv" for n in range(1, 9)]
    assert first_of(near_misses(OTC, names)).endswith(" (and 5 more)")
    (renaming,) = near_misses(OTC, ["otc_week_2025-11-14\x1b\udcff.psv"])
    assert "2025-11-14\x1b\udcff" not in renaming
    assert r"'otc_week_2025-11-14\x1b\xff.psv' is there" in renaming


def test_what_is_late_names_the_file_that_is_there(ledger: Ledger, source_dir: Path) -> None:
    (source_dir / "otc_week_2025-11-14 (1).psv").write_bytes(content(PUBLISHED))
    ran = call("run_weekly", "--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY)
    told = f"'otc_week_2025-11-14 (1).psv' is there: if it is meant, name it {RIGHT}"
    assert ran.code == 1
    assert told in ran.out
    assert told in Anomaly.objects.get(category="LATE").message
    (source_dir / "otc_week_2025-11-14 (1).psv").rename(source_dir / "otc_week_2025-11-14.csv")
    assert call("run_weekly", "--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY).code == 0
    assert Capture.objects.get().payload_uri == "files:otc_week_2025-11-14.csv"
