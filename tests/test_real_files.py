"""FINRA's real files, beside simulated NMS tiers: every row accounted for, every figure computed a second time."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.samples import Size, publish
from pipeline.finra.sources.files.file_names import file_name
from pipeline.finra.sources.files.source import FilesSource
from pipeline.models import Capture, Family, MarketConcentration, Outcome
from pipeline.runs import in_process, lifecycle
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from pipeline.vintages import read
from tests.support.engines import Engines
from tests.weeks.off_exchange import SCOPES, check_market, check_symbols, check_venues, market

WEEKS = (date(2025, 11, 21), date(2025, 11, 14))
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
        run = lifecycle.start(make_plan(request_, source.available([PartitionKey(w, t) for w in WEEKS for t in Tier])))
        in_process.execute(run, source)
        assert {step.outcome for step in run.partitions.all()} == {Outcome.INGESTED}
        yield source_of_both


@pytest.mark.promise(11)
def test_every_row_is_kept_and_the_sums_are_awks(captured: Path) -> None:
    for week in WEEKS:
        path = captured / file_name(PartitionKey(week, Tier.OTC))
        awk = subprocess.run(["awk", "-F|", AWK, str(path)], capture_output=True, text=True, check=True).stdout
        rows, shares, trades = map(int, awk.split())
        capture = Capture.objects.get(partition__week_ending=week, partition__tier=Tier.OTC)
        assert (capture.rows_in, capture.rows_kept, capture.rows_rejected) == (rows, rows, 0)
        assert (capture.shares, capture.trades) == (Decimal(shares), trades)
        stored = read.of_capture(capture).collect()
        assert (stored.height, stored["shares"].sum(), stored["trades"].sum()) == (rows, shares, trades)


def test_venue_volumes_and_shares_are_those_computed_from_the_text(captured: Path) -> None:
    for week in WEEKS:
        for scope in SCOPES:
            check_venues(week, scope, Family.ATS, market(captured, week, scope, Family.ATS))


@pytest.mark.parametrize("family", Family)
def test_concentration_is_that_computed_from_the_text(captured: Path, family: Family) -> None:
    for week in WEEKS:
        for scope, tiers in SCOPES.items():
            if family is not Family.ATS and Tier.OTC in tiers:
                found = MarketConcentration.objects.filter(snapshot__week_ending=week, scope=scope, family=family)
                assert not found.exists(), "the real files have no non-ATS volume: no figure claims to cover it"
                continue
            expected = market(captured, week, scope, family)
            check_market(week, scope, family, expected)
            check_symbols(week, scope, family, expected)
