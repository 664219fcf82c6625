"""FINRA's real files, beside simulated NMS tiers: every row accounted for, every figure computed a second time."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline import runs
from pipeline.calendar import PartitionKey, Tier
from pipeline.models import (
    ALL_TIERS,
    Capture,
    Family,
    MarketConcentration,
    Outcome,
    RowVersion,
    SymbolConcentration,
    VenueVolume,
)
from pipeline.planning import Request, make_plan
from pipeline.samples import Size, publish
from pipeline.sources.base import PartName
from pipeline.sources.files import FilesSource, file_name
from tests.engines import Engines
from tests.off_exchange import Market, hhi

WEEKS = (date(2025, 11, 21), date(2025, 11, 14))
CLOSE = 1e-12
AWK = 'NR > 1 { shares += $6; trades += $7; rows += 1 } END { printf "%d %d %d", rows, shares, trades }'


@pytest.fixture(scope="module")
def source_of_both(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real OTC weeks, with simulated NMS tiers of the same weeks."""
    root = tmp_path_factory.mktemp("published")
    publish(root, weeks=WEEKS, seed=11, size=Size.SMALL, tiers=(Tier.NMS_TIER_1, Tier.NMS_TIER_2))
    for week in WEEKS:
        name = file_name(PartitionKey(week, Tier.OTC))
        shutil.copy(shared_data / name, root / name)
    return root


@pytest.fixture(params=["sqlite", "postgresql"])
def captured(request: pytest.FixtureRequest, engines: Engines, source_of_both: Path) -> Iterator[Path]:
    """Both weeks run through the product."""
    with engines.using(request.param):
        request_ = Request(command="run_weekly", run_date=date(2026, 1, 5), weeks=WEEKS)
        source = FilesSource(source_of_both, 10**9)
        run = runs.start(make_plan(request_, source.available([PartitionKey(w, t) for w in WEEKS for t in Tier])))
        runs.execute(run, source)
        assert {step.outcome for step in run.partitions.all()} == {Outcome.INGESTED}
        yield source_of_both


def files(root: Path, week: date, tier: Tier, part: PartName) -> list[bytes]:
    path = root / file_name(PartitionKey(week, tier), part)
    return [path.read_bytes()] if path.exists() else []


def market(root: Path, week: date, tiers: tuple[Tier, ...], parts: tuple[PartName, ...]) -> Market:
    found = [file for tier in tiers for part in parts for file in files(root, week, tier, part)]
    return Market().add(*found)


@pytest.mark.promise(11)
def test_every_row_is_kept_and_the_sums_are_awks(captured: Path) -> None:
    for week in WEEKS:
        path = captured / file_name(PartitionKey(week, Tier.OTC))
        awk = subprocess.run(["awk", "-F|", AWK, str(path)], capture_output=True, text=True, check=True).stdout
        rows, shares, trades = map(int, awk.split())
        capture = Capture.objects.get(partition__week_ending=week, partition__tier=Tier.OTC)
        assert (capture.rows_in, capture.rows_kept, capture.rows_rejected) == (rows, rows, 0)
        assert (capture.shares, capture.trades) == (Decimal(shares), trades)
        stored = RowVersion.objects.filter(partition=capture.partition)
        assert stored.count() == rows
        assert sum((row.shares or Decimal(0) for row in stored), Decimal(0)) == shares


SCOPES = [(tier.value, (tier,)) for tier in Tier] + [(ALL_TIERS, tuple(Tier))]


def test_venue_volumes_and_shares_are_those_computed_from_the_text(captured: Path) -> None:
    for week in WEEKS:
        for scope, tiers in SCOPES:
            expected = market(captured, week, tiers, (PartName.ATS,))
            stored = VenueVolume.objects.filter(snapshot__week_ending=week, scope=scope, venue__kind="ATS")
            found = {volume.venue.mpid: volume for volume in stored.select_related("venue")}
            assert found.keys() == expected.shares.keys()
            for venue, volume in found.items():
                assert (volume.shares, volume.trades) == (expected.shares[venue], expected.trades[venue])
                assert volume.share == pytest.approx(float(expected.share(venue)), rel=CLOSE)
            ranked = sorted(found.values(), key=lambda volume: volume.rank)
            assert [volume.shares for volume in ranked] == sorted(expected.shares.values(), reverse=True)


@pytest.mark.parametrize(
    ("family", "parts"),
    [(Family.ATS, (PartName.ATS,)), (Family.NON_ATS, (PartName.NON_ATS,)), (Family.ALL, tuple(PartName))],
)
def test_concentration_is_that_computed_from_the_text(
    captured: Path, family: Family, parts: tuple[PartName, ...]
) -> None:
    for week in WEEKS:
        for scope, tiers in SCOPES:
            markets = MarketConcentration.objects.filter(snapshot__week_ending=week, scope=scope, family=family)
            if family is not Family.ATS and Tier.OTC in tiers:
                assert not markets.exists(), "the real files have no non-ATS volume: no figure claims to cover it"
                continue
            expected = market(captured, week, tiers, parts)
            found = markets.get()
            assert (found.shares, found.trades) == (expected.total, sum(expected.trades.values()))
            assert (found.venues, found.symbols) == (len(expected.shares), len(expected.cells))
            assert (found.hhi_low, found.hhi_high) == pytest.approx(floats(hhi(expected.shares.items())), rel=CLOSE)
            check_symbols(week, scope, family, expected)


def check_symbols(week: date, scope: str, family: Family, expected: Market) -> None:
    stored = SymbolConcentration.objects.filter(snapshot__week_ending=week, scope=scope, family=family)
    seen = set()
    for found in stored.select_related("security"):
        key = (found.security.symbol, found.security.issue_name)
        volumes = expected.cells[key]
        seen.add(key)
        assert found.shares == sum(volumes.values())
        assert found.venues == len(volumes)
        assert (found.hhi_low, found.hhi_high) == pytest.approx(floats(hhi(volumes.items())), rel=CLOSE, abs=1e-15)
    assert seen == expected.cells.keys()


def floats(pair: tuple[Decimal, Decimal]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
