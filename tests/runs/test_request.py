"""Requests: kept by their run as parameters, and read back from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Trigger
from pipeline.runs.request import Only, OnlyStage, Request

WHOLE = Request(
    command="backfill",
    run_date=date(2025, 12, 15),
    tiers=(Tier.OTC, Tier.NMS_TIER_1),
    weeks=(date(2025, 11, 14), date(2025, 11, 7)),
    lookback_weeks=7,
    partitions=(PartitionKey(date(2025, 11, 14), Tier.OTC),),
    only=Only.FAILED,
    only_stage=OnlyStage.NORMALIZE,
    source="api",
    origin="https://api.finra.org",
    force=True,
    probe=True,
    even_before_due=True,
    reason="after a correction",
    requested_by="an operator",
    trigger=Trigger.BEAT,
)


@pytest.mark.parametrize("request_", [WHOLE, replace(WHOLE, weeks=None, partitions=None)], ids=["named", "look-back"])
def test_a_request_is_read_back_from_its_parameters(request_: Request) -> None:
    assert Request.from_parameters(request_.parameters()) == request_


def test_a_source_is_asked_for_all_stages_or_to_ingest() -> None:
    asks = {stage for stage in OnlyStage if replace(WHOLE, only_stage=stage).fetches}
    assert asks == {OnlyStage.ALL, OnlyStage.INGEST}
