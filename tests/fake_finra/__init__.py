"""A FINRA to test against: a real HTTP server on loopback that behaves as FINRA's API is known to behave.

Built from what is known of the source, not from any client, so that a client which misreads it fails here. What is
published is a matter of a virtual date: partitions appear on their due dates, restatements on theirs.

    with FinraServer(sample_service(weeks, today=date(2026, 1, 5))) as server:
        ...  # server.url, server.service.today, .faults, .log, .tokens, .catalogue

`python -m tests.fake_finra --help` runs it by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from pipeline.finra.calendar import PartitionKey, Tier
from tests.fake_finra.catalogue import Catalogue
from tests.fake_finra.faults import Fault, Kind
from tests.fake_finra.options import Empty, HistoricFields, Options, Window
from tests.fake_finra.origins import Files, Samples, With
from tests.fake_finra.restatements import RECORDED, RECORDED_KEY, RECORDED_ROWS, RECORDED_SYMBOL, Restatement, drawn
from tests.fake_finra.server import FinraServer
from tests.fake_finra.service import Service

__all__ = [
    "RECORDED",
    "RECORDED_KEY",
    "RECORDED_ROWS",
    "RECORDED_SYMBOL",
    "Catalogue",
    "Empty",
    "Fault",
    "Files",
    "FinraServer",
    "HistoricFields",
    "Kind",
    "Options",
    "Restatement",
    "Samples",
    "Service",
    "Window",
    "With",
    "drawn",
    "recorded_catalogue",
    "sample_service",
]


def sample_service(
    weeks: Iterable[date],
    *,
    today: date | None = None,
    seed: int = 1,
    securities: int | None = 3,
    options: Options | None = None,
    restated: bool = False,
) -> Service:
    """A service over sample publications of these weeks; `restated` schedules restatements, some of them months late.

    `securities` limits each partition to its first few (None: all of a small market).
    """
    known = sorted(weeks)
    keys = [PartitionKey(week, tier) for week in known for tier in Tier]
    restatements = drawn(keys, seed) if restated else []
    catalogue = Catalogue(known, Samples(seed, securities=securities), restatements=restatements)
    return Service(catalogue, options, today=today)


def recorded_catalogue(weeks: Iterable[date] = (), *, restated: bool = True) -> Catalogue:
    """Sample weeks, among them 2021-11-05 with the rows of TSLA as recorded; `restated` on 2022-07-06, as they were."""
    known = sorted({RECORDED_KEY.week_ending, *weeks})
    origin = With(Samples(securities=3), RECORDED_ROWS)
    return Catalogue(known, origin, restatements=[RECORDED] if restated else [])
