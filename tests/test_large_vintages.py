"""Vintages at the size of the real thing: many restatements, and many rows."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from pipeline import reading
from pipeline import row_versions as vintages
from pipeline.models import Capture, Partition, RowVersion, capture_id_for
from pipeline.row_versions import RowChange
from pipeline.sources.base import PayloadFormat
from tests.capturing import DAY, KEY, captured, counts, latest, rows_at, version
from tests.engines import Ledger
from tests.faults.extent import EVERYTHING
from tests.sources_in_memory import MemorySource, psv, row

RESTATEMENTS = 2000 if EVERYTHING else 500


def told(change: RowChange) -> tuple[str, str, Decimal, Decimal]:
    """A changed row: symbol, MPID, shares before and after."""
    assert change.before is not None
    assert change.after is not None
    return (change.key.symbol, change.key.mpid, change.before.shares, change.after.shares)


def restate(lines: list[str], held: Capture) -> Capture:
    """The next vintage as `captures.make` stores it, without what is the same for every capture."""
    parsed = reading.read(psv(*lines), PayloadFormat.PSV, KEY)
    nth = held.version + 1
    with transaction.atomic():
        partition = Partition.objects.locked(KEY)
        merged = vintages.store(partition, nth, vintages.resolve(parsed, KEY))
        assert (merged.added, merged.changed, merged.removed, merged.unchanged) == (0, 1, 0, 1)
        held.pk, held.version, held.capture_id = None, nth, capture_id_for(KEY, DAY, nth)
        held.save(force_insert=True)
        Partition.objects.filter(pk=partition.pk).update(newest_version=nth, latest=held)
    return held


def test_hundreds_of_restatements_of_one_partition(ledger: Ledger) -> None:
    source = MemorySource()
    held = captured(source, [row("STAY", "UBSA", 1), row("MOVE", "UBSA", 1)])
    for number in range(2, RESTATEMENTS):
        held = restate([row("STAY", "UBSA", 1), row("MOVE", "UBSA", number)], held)
    newest = captured(source, [row("STAY", "UBSA", 1), row("MOVE", "UBSA", RESTATEMENTS)])
    assert newest.version == RESTATEMENTS
    assert newest.capture_id == f"finra.otc_transparency:OTC:2025-11-14:20251226.{RESTATEMENTS}"
    assert RowVersion.objects.count() == RESTATEMENTS + 1
    assert latest() == [f"MOVE UBSA {RESTATEMENTS} 1", "STAY UBSA 1 1"]
    assert rows_at(version(250)) == ["MOVE UBSA 250 1", "STAY UBSA 1 1"]
    assert [told(change) for change in vintages.difference(version(1), newest)] == [
        ("MOVE", "UBSA", Decimal(1), Decimal(RESTATEMENTS))
    ]


SYMBOLS = [f"S{number:05}" for number in range(42_000)]
VENUES = ("UBSA", "SGMT", "INCR", "LEVL")


def large_file() -> list[str]:
    """168,000 rows: a week of NMS Tier 2."""
    return [
        row(symbol, venue, 100 + number % 977, 1 + number % 7)
        for number, symbol in enumerate(SYMBOLS)
        for venue in VENUES
    ]


def restated(line: str) -> str:
    """The line with another share quantity."""
    fields = line.split("|")
    return "|".join([*fields[:5], "424242.5", *fields[6:]])


def figures_of(lines: list[str]) -> set[tuple[str, str, Decimal | None, int]]:
    """Symbol, MPID, shares and trades of each line."""
    fields = (line.split("|") for line in lines)
    return {(symbol, mpid, Decimal(shares), int(trades)) for _, symbol, _, _, mpid, shares, trades, _ in fields}


def figures_as_of(instant: datetime) -> set[tuple[str, str, Decimal | None, int]]:
    """The same of each row that was the newest at `instant`."""
    rows = vintages.as_of(instant, [KEY])
    return set(rows.values_list("security__symbol", "venue__mpid", "shares", "trades"))


@pytest.mark.promise(1, 5)
def test_a_restatement_of_three_rows_writes_three_row_versions_and_closes_three(
    ledger: Ledger,
) -> None:
    before = large_file()
    after = [restated(line) if at in (0, 84_001, 167_999) else line for at, line in enumerate(before)]
    source = MemorySource()
    first = captured(source, before)
    between = timezone.now()
    second = captured(source, after, day=date(2025, 12, 29))
    assert (first.rows_kept, counts(second)) == (168_000, (0, 3, 0, 167_997))
    assert RowVersion.objects.count() == 168_003
    assert RowVersion.objects.filter(first_version=2, last_version=None).count() == 3
    assert RowVersion.objects.filter(first_version=1, last_version=1).count() == 3
    assert figures_as_of(between) == figures_of(before)
    assert figures_as_of(timezone.now()) == figures_of(after)
    assert [told(change) for change in vintages.difference(first, second)] == [
        ("S00000", "UBSA", Decimal(100), Decimal("424242.5")),
        ("S21000", "SGMT", Decimal(100 + 21_000 % 977), Decimal("424242.5")),
        ("S41999", "LEVL", Decimal(100 + 41_999 % 977), Decimal("424242.5")),
    ]
