"""A whole week of every tier and both kinds, fractions and a security of two tiers among it, computed a second time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest

from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.samples import Size, publish
from pipeline.finra.sources.files.source import FilesSource
from pipeline.models import ALL_TIERS, AnalyticsSnapshot, Family
from pipeline.weeks import analytics, symbols
from tests.support.engines import Engines
from tests.weeks.off_exchange import SCOPES, check_market, check_symbols, check_venues, market

WEEK = date(2026, 2, 6)  # from that month on FINRA has fractional shares


@pytest.fixture(params=["sqlite", "postgresql"])
def calculated(request: pytest.FixtureRequest, engines: Engines, tmp_path: Path) -> Iterator[Path]:
    """The folder whose week is captured and calculated."""
    publish(tmp_path, weeks=[WEEK], seed=3, size=Size.SMALL)
    with engines.using(request.param):
        for tier in Tier:
            ingest.ingest(PartitionKey(WEEK, tier), FilesSource(tmp_path, 10**9), Terms(run_date=date(2026, 3, 16)))
        analytics.calculate_week(WEEK)
        yield tmp_path


@pytest.mark.promise(12)
def test_every_figure_is_that_computed_from_the_text(calculated: Path) -> None:
    assert AnalyticsSnapshot.objects.get().inputs.count() == 3
    for scope, family in product(SCOPES, Family):
        expected = market(calculated, WEEK, scope, family)
        assert expected.total % 1 != 0, "the week has fractions"
        check_venues(WEEK, scope, family, expected)
        check_market(WEEK, scope, family, expected)
        check_symbols(WEEK, scope, family, expected)


def test_a_security_of_two_tiers_is_one_security_over_all_tiers(calculated: Path) -> None:
    found = symbols.of_snapshot(AnalyticsSnapshot.objects.get()).filter(symbol="BOTHW", family="ALL").collect()
    shares: dict[str, Decimal] = dict(found.select("scope", "shares").iter_rows())
    assert shares.keys() == {"NMS_TIER_1", "NMS_TIER_2", ALL_TIERS}
    assert shares[ALL_TIERS] == shares["NMS_TIER_1"] + shares["NMS_TIER_2"]
