"""FINRA's real files, where they are beside the checkout, served as its API would serve them and fetched by the client."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import PayloadFormat
from pipeline.finra.rows import IS_ATS
from pipeline.finra.sources.files.file_names import file_name
from tests.fake_finra import Catalogue, Files, FinraServer, Options, Samples, Service
from tests.finra.sources.api.asking import client_of

WEEKS = (date(2025, 11, 14), date(2025, 11, 21))


def of_ats(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of ATSs in the columns that the file has, too; ATSs have other names there."""
    rows = frame.filter(IS_ATS).select("symbol", "issue_name", "mpid", "shares", "trades", "last_update_date")
    return rows.sort("symbol", "issue_name", "mpid")


@pytest.mark.parametrize("week", WEEKS, ids=str)
def test_the_api_serves_the_real_files_rows(shared_data: Path, week: date) -> None:
    key = PartitionKey(week, Tier.OTC)
    downloaded = reader.read((shared_data / file_name(key)).read_bytes(), PayloadFormat.PSV, key, 0)
    catalogue = Catalogue([week], Files(shared_data, Samples(securities=3)))
    service = Service(catalogue, Options(requests_per_second=None), today=date(2026, 2, 2))
    with FinraServer(service) as server:
        fetched = reader.read(client_of(server).fetch(key).content, PayloadFormat.PAGES, key, 0)
    assert of_ats(fetched.frame).equals(of_ats(downloaded.frame))
    assert fetched.rows_kept - fetched.rows_non_ats == downloaded.rows_kept
    assert fetched.controls is not None
    assert (fetched.controls.shares, fetched.controls.trades, fetched.controls.differing) == (
        fetched.shares,
        fetched.trades,
        0,
    )
