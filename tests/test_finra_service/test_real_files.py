"""FINRA's real files, where they are beside the checkout, served as its API would serve them and fetched by the client."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pipeline.reading import in_common_columns, lines_of_canonical

from pipeline.calendar import PartitionKey, Tier
from pipeline.parsed import Parsed
from pipeline.parsing import parse
from pipeline.sources.base import PayloadFormat
from pipeline.sources.file_names import file_name
from tests.finra_service import Catalogue, Files, FinraServer, Options, Samples, Service
from tests.sources.finra_api.asking import client_of

WEEKS = (date(2025, 11, 14), date(2025, 11, 21))


def of_ats(parsed: Parsed) -> set[str]:
    lines = lines_of_canonical(parsed.canonical)
    return {in_common_columns(line) for line in lines if line.split("|")[2]}


@pytest.mark.parametrize("week", WEEKS, ids=str)
def test_the_real_rows_come_out_of_the_api_as_out_of_the_file(shared_data: Path, week: date) -> None:
    key = PartitionKey(week, Tier.OTC)
    downloaded = parse((shared_data / file_name(key)).read_bytes(), PayloadFormat.PSV, key.tier, 0)
    catalogue = Catalogue([week], Files(shared_data, Samples(securities=3)))
    service = Service(catalogue, Options(requests_per_second=None), today=date(2026, 2, 2))
    with FinraServer(service) as server:
        fetched = parse(client_of(server).fetch(key).content, PayloadFormat.PAGES, key.tier, 0)
    assert of_ats(fetched) == of_ats(downloaded)
    assert fetched.rows_kept - fetched.rows_non_ats == downloaded.rows_kept
    assert fetched.controls is not None
    assert (fetched.controls.shares, fetched.controls.trades, fetched.controls.differing) == (
        fetched.shares,
        fetched.trades,
        0,
    )
