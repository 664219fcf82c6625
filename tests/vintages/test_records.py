"""The archive's record of a capture: what is written is read back, whole."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import DataKind
from pipeline.vintages.records import Record

RECORD = Record(
    capture_id="finra.otc_transparency:OTC:2025-11-14:20251226.2",
    week_ending=date(2025, 11, 14),
    tier=Tier.OTC,
    version=2,
    kind="FORCED",
    cause="OPERATOR",
    reason="1 row changed",
    source_opinion="later",
    requested_by="an operator",
    request_reason="after a correction",
    captured_on=date(2025, 12, 26),
    captured_at=datetime(2025, 12, 26, 12, tzinfo=UTC),
    normalized_at=datetime(2025, 12, 26, 13, tzinfo=UTC),
    position=17,
    run=3,
    source="files",
    payload_uri="file:///source",
    payload_format="psv",
    payload_sha256="ab" * 32,
    payload_bytes=1234,
    source_updated_at=datetime(2025, 12, 22, 9, tzinfo=UTC),
    content_hash="cd" * 32,
    annuls="finra.otc_transparency:OTC:2025-11-14:20251226",
    data_kind=DataKind.SAMPLES,
)
ARCHIVED = replace(
    RECORD, normalized_at=None, position=None, run=None, source_updated_at=None, annuls=None, data_kind=None
)


@pytest.mark.parametrize("record", [RECORD, ARCHIVED], ids=["stored", "archived"])
def test_a_record_is_read_back_as_it_was_written(record: Record) -> None:
    assert Record.read(record.text()) == record
    assert record.key == PartitionKey(date(2025, 11, 14), Tier.OTC)


@pytest.mark.parametrize("name", sorted(json.loads(RECORD.text())))
def test_a_record_that_lacks_a_fact_is_none(name: str) -> None:
    said = json.loads(RECORD.text())
    del said[name]
    with pytest.raises(KeyError, match=name):
        Record.read(json.dumps(said).encode())
