"""Sketches: stored hashes mean the same for ever, and two of them tell how much of one publication the other has."""

from __future__ import annotations

from zlib import crc32

import polars as pl
import pytest

from pipeline.capture.likeness import KEPT, MIXED, Sketch, may_share, of_new_rows, of_rows, same, sketch
from pipeline.vintages.compare import difference_of
from tests.finra.api_pages import ATS, FIRM, read
from tests.vintages.frames import Line, frame_of


def lines(start: int, stop: int, factor: int = 1) -> list[Line]:
    return [(f"S{n}", "AAAA", str(factor * (1000 + n)), 1 + n % 7) for n in range(start, stop)]


def hash_of(text: str) -> int:
    """In plain Python: the upper half of products modulo 2^64 of the CRCs of both names, millionths of shares and trades."""
    security, venue, shares, trades = text.rsplit("|", 3)
    parts = (crc32(security.encode()), crc32(venue.encode()), int(shares), int(trades))
    mixed = sum(part * factor for part, factor in zip(parts, MIXED, strict=True)) % 2**64
    return ((mixed ^ mixed >> 32) * MIXED[0] % 2**64) >> 32


def test_the_hash_of_a_row_is_the_same_for_ever() -> None:
    frame = frame_of([("AAPL", "UBSA", "999999999999.999999", 2), ("AAPL", "Some Firm", "7", 1)])
    texts = ["AAPL|AAPL Inc|Some Firm|7000000|1", "AAPL|AAPL Inc|UBSA|999999999999999999|2"]
    assert sorted(of_rows(frame)["likeness"]) == texts
    assert sketch(frame) == Sketch(frozenset(map(hash_of, texts)), 2**32 - 1)
    assert sorted(sketch(frame).hashes) == [128301752, 1479632421]


def test_a_sketch_keeps_the_smallest_hashes_up_to_its_ceiling() -> None:
    frame = frame_of(lines(0, 5000))
    smallest = sorted(map(hash_of, of_rows(frame)["likeness"]))[:KEPT]
    assert sketch(frame) == Sketch(frozenset(smallest), smallest[-1])


def test_rows_of_one_hash_count_once() -> None:
    frame = frame_of(lines(0, 1500))
    assert sketch(pl.concat([frame] * 3)) == sketch(frame)


@pytest.mark.parametrize("field", ["MPID", "marketParticipantName", "productTypeCode", "issueName"])
def test_a_row_rejected_for_a_pipe_is_in_no_sketch(field: str) -> None:
    content = read(ATS, FIRM, {**FIRM, field: '"a|b|c"'})
    assert len(content.rejects) == 1
    assert sketch(content.keyed) == sketch(read(ATS, FIRM).keyed)


def test_a_sketch_is_kept_as_bytes() -> None:
    made = sketch(frame_of(lines(0, 3000)))
    assert len(made.packed()) == 4 * KEPT
    assert Sketch.unpacked(made.packed(), made.ceiling) == made


@pytest.mark.parametrize(("shared", "may_be"), [(0, False), (0.005, False), (0.2, True), (0.5, True), (1, True)])
def test_two_sketches_tell_whether_a_fifth_of_the_rows_is_shared(shared: float, may_be: bool) -> None:
    rows = 20_000
    same_rows = round(shared * rows)
    one, other = frame_of(lines(0, rows)), frame_of(lines(0, same_rows) + lines(same_rows, rows, factor=2))
    assert may_share(sketch(one), sketch(other), 0.2) is may_be


@pytest.mark.parametrize(
    ("sampled", "shared", "may_be"), [(20, 0, True), (21, 0, False), (63, 0, False), (63, 1, True)]
)
def test_few_sampled_rows_tell_only_where_none_is_shared(sampled: int, shared: int, may_be: bool) -> None:
    one = Sketch(frozenset(range(KEPT)), KEPT - 1)
    other = Sketch(frozenset(range(shared)), sampled - 1)
    assert may_share(one, other, 0.2) is may_be


def test_rows_that_changes_bring_have_their_likeness_after_them() -> None:
    before, after = lines(0, 4), [*lines(0, 2), *lines(2, 3, factor=2), ("NEW", "Firm", "1.5", 9)]
    changes = difference_of(frame_of(before), frame_of(after))
    assert sorted(of_new_rows(changes.rows)["likeness"]) == [
        "NEW|NEW Inc|Firm|1500000|9",
        "S2|S2 Inc|AAAA|2004000000|3",
    ]


def test_each_likeness_is_counted_once() -> None:
    one, other = of_rows(frame_of(lines(0, 10))), of_rows(frame_of(lines(5, 15)))
    assert same(one.vstack(one), other) == {"ATS": 5}
