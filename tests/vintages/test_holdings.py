"""What the archive holds: files are read whole in turn, and brought back by their bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.files.storage import default_storage

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import FileCheck, FileState
from pipeline.vintages import holdings, read
from pipeline.vintages.read import NoSuchVintage
from tests.support.capturing import captured
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, row
from tests.vintages.frames import WEEK, stored

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LINES = [("AAPL", "UBSA", "100", 2)]


def test_damaged_files_are_read_first_then_unread_ones_then_the_longest_unread(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [PartitionKey(WEEK - timedelta(weeks=weeks), Tier.OTC) for weeks in range(4)]
    read_before, damaged, unread, longest = (stored(LINES, NOON, key=key) for key in keys)
    for capture, state, hours in (
        (read_before, FileState.WHOLE, 2),
        (damaged, FileState.DAMAGED, 1),
        (longest, FileState.WHOLE, 3),
    ):
        FileCheck.objects.create(sha256=capture.vintage_sha256, state=state, since=NOON, read_at=NOON - hours * HOUR)
    order = []
    for hour in range(1, 5):
        with time_machine.travel(NOON + hour * HOUR, tick=False):
            holdings.read_in_turn(1)
        order.append(FileCheck.objects.get(read_at=NOON + hour * HOUR).sha256)
    assert order == [capture.vintage_sha256 for capture in (damaged, unread, longest, read_before)]
    monkeypatch.setattr(holdings, "READ_AT_ONCE", 1)
    with time_machine.travel(NOON + 9 * HOUR, tick=False):
        holdings.read_in_turn(3)
    assert FileCheck.objects.filter(read_at=NOON + 9 * HOUR).count() == 3
    assert set(FileCheck.objects.values_list("state", flat=True)) == {FileState.WHOLE}


@pytest.mark.usefixtures("few_rows")
def test_a_lost_vintage_file_is_made_again_of_the_payloads_bytes(ledger: Ledger) -> None:
    source = MemorySource()
    capture = captured(source, [row("AAPL", "UBSA", 1)])
    payload = source.payloads[capture.partition.key]
    assert holdings.restore(payload, holdings.lost_of(holdings.made_of(payload.sha256))) == []

    default_storage.delete(capture.vintage_path)

    assert holdings.restore(payload, holdings.lost_of(holdings.made_of(payload.sha256))) == [holdings.FileKind.VINTAGE]
    assert read.of_capture(capture).collect().height == 1
    assert FileCheck.objects.get(sha256=capture.vintage_sha256).state == FileState.WHOLE


def test_rows_that_are_not_stored_are_not_read_from_a_file_that_is_there(ledger: Ledger) -> None:
    capture = stored(LINES, NOON)
    capture.normalized_at = None
    with pytest.raises(NoSuchVintage, match="archived, and its rows are not stored yet"):
        read.of_capture(capture)
