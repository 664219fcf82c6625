"""The difference of two vintages: each row before and after, counted, the biggest movers first."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from pipeline.finra.rows import FIGURES, FIRM, KEY
from pipeline.vintages import compare
from pipeline.vintages.compare import ChangeKind, RowChange, RowKey, RowValues, difference_of
from tests.support.engines import Ledger
from tests.vintages.frames import T1, Line, frame_of, stored

A = [("AAPL", "UBSA", "100", 2), ("MSFT", "A firm", "25.25", 1), ("BRK.B", "SGMT", "7", 1)]
B = [("AAPL", "UBSA", "101", 2), ("MSFT", "A firm", "25.25", 1), ("NEWW", "SGMT", "9", 1)]
NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def values(shares: str, trades: int = 1) -> RowValues:
    return RowValues(Decimal(shares), trades, None, "2025-12-15")


def ats(symbol: str, mpid: str) -> RowKey:
    return RowKey(symbol, f"{symbol} Inc", mpid, "", "", "")


def test_a_difference_has_rows_before_and_after_by_key() -> None:
    changes = difference_of(frame_of(A), frame_of(B))

    assert (changes.added, changes.changed, changes.removed, changes.unchanged) == (1, 1, 1, 1)
    assert changes.rows.select(
        "symbol", "mpid", "firm", "venue_kind", "kind", "before_shares", "after_shares"
    ).rows() == [
        ("AAPL", "UBSA", "", "ATS", "changed", Decimal(100), Decimal(101)),
        ("BRK.B", "SGMT", "", "ATS", "removed", Decimal(7), None),
        ("NEWW", "SGMT", "", "ATS", "added", None, Decimal(9)),
    ]
    assert changes.rows.columns == [
        *KEY,
        "venue_kind",
        "kind",
        *(f"{side}_{figure}" for side in ("before", "after") for figure in FIGURES),
    ]


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("shares", Decimal("100.000001")),
        ("trades", 3),
        ("notional", Decimal(0)),
        ("last_update_date", date(2025, 12, 16)),
    ],
)
def test_a_change_in_any_figure_is_a_change(figure: str, value: object) -> None:
    before = frame_of(A)
    is_apple = pl.col("symbol") == "AAPL"
    changed = pl.when(is_apple).then(pl.lit(value)).otherwise(pl.col(figure)).cast(before.schema[figure]).alias(figure)
    changes = difference_of(before, before.with_columns(changed))

    assert (changes.added, changes.changed, changes.removed, changes.unchanged) == (0, 1, 0, 2)
    assert changes.rows[f"after_{figure}"].to_list() == [value]


def test_a_new_name_changes_a_firm_and_no_ats() -> None:
    before = frame_of(A)
    renamed = before.with_columns(pl.lit("renamed").alias("venue_name"))
    changes = difference_of(before, renamed)

    assert [(row["kind"], row["firm"]) for row in changes.rows.to_dicts()] == [
        ("added", "renamed"),
        ("removed", "A firm"),
    ][::-1]
    assert changes.unchanged == 2


@pytest.mark.parametrize("before", [[], A])
@pytest.mark.parametrize("after", [[], A])
def test_nothing_and_something_are_compared(before: list[Line], after: list[Line]) -> None:
    changes = difference_of(frame_of(before), frame_of(after))
    added, removed = len(after) if not before else 0, len(before) if not after else 0
    assert (changes.added, changes.changed, changes.removed) == (added, 0, removed)
    assert changes.unchanged == (3 if before and after else 0)


def test_random_frames_differ_as_dictionaries_of_their_rows_do() -> None:
    chance = random.Random(13)
    for _ in range(100):
        before, after = (some_rows(chance) for _ in range(2))
        changes = difference_of(before, after)
        were, are = as_dictionary(before), as_dictionary(after)
        differing = {key for key in were.keys() | are.keys() if were.get(key) != are.get(key)}
        assert {row[: len(KEY)] for row in changes.rows.rows()} == differing
        assert changes.rows.height == len(differing)
        assert changes.added == len(are.keys() - were.keys())
        assert changes.removed == len(were.keys() - are.keys())
        assert changes.unchanged == len([key for key in were if were[key] == are.get(key)])


def some_rows(chance: random.Random) -> pl.DataFrame:
    keys = [(symbol, venue) for symbol in "ABCDE" for venue in ("UBSA", "SGMT", "firm")]
    return frame_of([(*key, str(chance.randrange(3)), 1) for key in chance.sample(keys, chance.randrange(16))])


def as_dictionary(frame: pl.DataFrame) -> dict[tuple[object, ...], tuple[object, ...]]:
    keyed = frame.select(*KEY[:4], FIRM, KEY[5], *FIGURES).rows()
    return {row[: len(KEY)]: row[len(KEY) :] for row in keyed}


@pytest.mark.parametrize("apart", ["BRK.B", ""], ids=["all but one", "all"])
def test_two_rows_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch, apart: str) -> None:
    """No two rows with the same 64-bit hash are known: here all have one, or all but the removed row."""

    def same(frame: pl.DataFrame) -> pl.Series:
        return pl.Series([int(symbol == apart) for symbol in frame["symbol"]], dtype=pl.UInt64)

    monkeypatch.setattr(pl.DataFrame, "hash_rows", same)
    changes = difference_of(frame_of(A), frame_of([*B[1:], ("MORE", "SGMT", "1", 1)]))
    assert (changes.added, changes.changed, changes.removed, changes.unchanged) == (2, 0, 2, 1)


def test_the_biggest_mover_comes_first_whichever_way_it_moved(ledger: Ledger) -> None:
    difference = compare.compare(stored(A, NOON), stored(B, NOON + HOUR))

    assert [difference.count(kind) for kind in (*ChangeKind, None)] == [1, 1, 1, 3]
    newcomer, berkshire, apple = (
        RowChange(ats("NEWW", "SGMT"), None, values("9")),
        RowChange(ats("BRK.B", "SGMT"), values("7"), None),
        RowChange(ats("AAPL", "UBSA"), values("100", 2), values("101", 2)),
    )
    assert compare.movers(difference, 0, 10) == [newcomer, berkshire, apple]
    assert [change.kind for change in compare.movers(difference, 0, 10)] == ["added", "removed", "changed"]
    assert compare.movers(difference, 1, 1) == [berkshire]
    assert compare.movers(difference, 0, 10, ChangeKind.CHANGED) == [apple]
    assert compare.movers(difference, 3, 10) == []


def test_a_difference_backwards_is_its_mirror(ledger: Ledger) -> None:
    first, second = stored(A, NOON), stored(B, NOON + HOUR)
    forth, back = (compare.movers(compare.compare(*pair), 0, 10) for pair in ((first, second), (second, first)))
    assert back == [RowChange(change.key, change.after, change.before) for change in forth]


def test_what_changed_and_changed_back_does_not_differ(ledger: Ledger) -> None:
    first, second, third = stored(A, NOON), stored(B, NOON + HOUR), stored(A, NOON + 2 * HOUR)
    assert compare.compare(first, third).count() == 0
    assert compare.compare(second, third).count() == 3


def test_shares_and_notional_are_written_as_a_person_does() -> None:
    frame = frame_of([("AAPL", "UBSA", "20.500000", 1)]).with_columns(
        pl.lit(Decimal("12345678901234567890123456789012.345678")).cast(pl.Decimal(38, 6)).alias("notional")
    )
    changes = difference_of(frame.clear(), frame)
    change = compare._change(next(changes.rows.iter_rows(named=True)))
    assert str(change.after) == (
        "RowValues(shares=Decimal('20.5'), trades=1, "
        "notional=Decimal('12345678901234567890123456789012.345678'), last_update_date='2025-12-15')"
    )


def test_captures_of_two_partitions_are_not_compared(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="captures of two partitions"):
        compare.compare(stored(A, NOON), stored(A, NOON, key=T1))
