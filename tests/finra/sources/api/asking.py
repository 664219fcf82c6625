"""A client beside a service, without a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.sources.api.access import Access
from pipeline.finra.sources.api.source import FinraApi
from tests.fake_finra import FinraServer, Options, sample_service

WEEKS = (date(2024, 9, 6), date(2025, 9, 26), date(2025, 10, 3))
TODAY = date(2025, 11, 10)
KEY = PartitionKey(WEEKS[-1], Tier.NMS_TIER_1)
OLD = PartitionKey(WEEKS[0], Tier.NMS_TIER_1)


def client_of(server: FinraServer, **changes: Any) -> FinraApi:
    """A client without patience."""
    known = Access(
        api_url=server.url,
        token_url=f"{server.url}/fip/rest/ews/oauth2/access_token",
        requests_per_second=100_000,
        retry_seconds=0.001,
    )
    return FinraApi(replace(known, **changes), 10**8)


@contextmanager
def finra(securities: int = 3, **options: Any) -> Iterator[FinraServer]:
    """A small service."""
    reading = Options(**{"requests_per_second": None, **options})
    with FinraServer(sample_service(WEEKS, today=TODAY, securities=securities, options=reading)) as server:
        yield server
