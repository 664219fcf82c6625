"""The content hash: that of the rows, however they are written, and the same for ever."""

from __future__ import annotations

import hashlib
import random
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.finra import rows
from tests.finra.web_files import read, read_parts, texts
from tests.support.sources_in_memory import HEADER, psv, row

keys = st.tuples(
    st.sampled_from(["A", "B", "BRK.B", "ABRpD", "", '"']), st.sampled_from(["x", "y"]), st.sampled_from("MN")
)
figures = st.tuples(st.integers(0, 10**9), st.integers(0, 999999), st.sampled_from(["2025-12-15", "2025-12-22"]))
weeks = st.dictionaries(keys, figures, min_size=1, max_size=8)
Week = dict[tuple[str, str, str], tuple[int, int, str]]


few = settings(max_examples=30)


def lines_of(week: Week, shape: random.Random | None = None) -> list[str]:
    """The lines of a week's rows; with `shape` in any order, numbers in any writing, venues under any name."""
    lines = []
    for (symbol, issue, mpid), (micros, trades, updated) in week.items():
        shares, count, name = f"{Decimal(micros).scaleb(-6):f}", str(trades), ""
        if shape is not None:
            shares = "0" * shape.randrange(3) + (
                shares.rstrip("0").rstrip(".") if shape.random() < 0.5 else shares + "0"
            )
            count, name = "0" * shape.randrange(3) + count, f"name {shape.random()}"
        lines.append(row(symbol, mpid, shares, count, issue=issue, name=name, updated=updated))
    if shape is not None:
        shape.shuffle(lines)
    return lines


def hash_of(week: Week) -> str:
    return read(psv(*lines_of(week))).content_hash


@pytest.mark.promise(2)
@few
@given(weeks, st.randoms(use_true_random=False), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_the_content_hash_is_that_of_the_rows_however_they_are_written(
    week: Week, shape: random.Random, end: str, last: bool, bom: bool
) -> None:
    written = end.join([HEADER, *lines_of(week, shape)]) + end * last
    rewritten = read(b"\xef\xbb\xbf" * bom + written.encode())
    plain = read(psv(*lines_of(week)))
    assert rewritten.rejects == []
    assert (rewritten.content_hash, texts(rewritten)) == (plain.content_hash, texts(plain))


@few
@given(weeks, weeks)
def test_weeks_that_differ_have_two_content_hashes(one: Week, other: Week) -> None:
    assert (hash_of(one) == hash_of(other)) == (one == other)


@few
@given(weeks, st.data())
def test_any_figure_key_or_date_that_changes_changes_the_content_hash(week: Week, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(week)))
    (symbol, issue, mpid), (micros, trades, updated) = key, week[key]
    rest = {other: values for other, values in week.items() if other != key}
    changed: list[Week] = [
        rest,
        *(rest | {key: values} for values in ((micros + 1, trades, updated), (micros, trades + 1, updated))),
        rest | {key: (micros, trades, "2025-12-16")},
        *(
            rest | {new: week[key]}
            for new in ((symbol + "z", issue, mpid), (symbol, issue + "z", mpid), (symbol, issue, "P"))
        ),
        week | {("new", issue, mpid): week[key]},
    ]
    assert len({hash_of(week), *map(hash_of, changed)}) == 1 + len(changed)


FILES = (
    psv(
        row("AB", "UBSA", "0.000001", 0, issue="z"),
        row("A", "UBSA", "999999999999.999999", 999999999999),
        row("A", "OTCN", 12, 3, issue="A\u00e9 \U0001f600"),
        row("A", "OTCN", 1, issue=" ", updated="0001-01-01"),
        row("~", "OTCN", 1, issue='"'),
        row("", "OTCN", 0),
    ),
    psv(row("A", "", "2.5", 4, name="De Minimis Firms"), row("A", "", 3, name="Z \u2013 Firm, LLC")),
)
CANONICAL = [
    "AB|z|UBSA||||1|0||2025-12-15",
    "A| |OTCN||||1000000|1||0001-01-01",
    "A|A Inc|UBSA||||999999999999999999|999999999999||2025-12-15",
    "A|A Inc|||De Minimis Firms||2500000|4||2025-12-15",
    "A|A Inc|||Z \u2013 Firm, LLC||3000000|1||2025-12-15",
    "A|A\u00e9 \U0001f600|OTCN||||12000000|3||2025-12-15",
    "| Inc|OTCN||||0|1||2025-12-15",
    '~|"|OTCN||||1000000|1||2025-12-15',
]
PINNED = "9fab47f2b4f80e1d7e688725d176955cf8cf5de68321916127ab1b23943086c9"


def test_no_upgrade_of_a_library_changes_a_content_hash() -> None:
    """The hash is spelled out, computed from the texts without a library, and of rows read in either way."""
    content = read_parts(*FILES)
    assert texts(content) == CANONICAL == sorted(CANONICAL)
    assert content.content_hash == PINNED
    assert hashlib.sha256("".join(f"{line}\n" for line in CANONICAL).encode()).hexdigest() == PINNED
    assert rows.content_hash(content.frame.sample(fraction=1, shuffle=True, seed=1)) == PINNED


def test_the_hash_of_no_rows_is_that_of_no_bytes() -> None:
    assert rows.content_hash(rows.empty()) == hashlib.sha256().hexdigest()


def test_hashes_leave_out_week_tier_and_ats_names() -> None:
    frame = row_of()
    changed = {
        "symbol": "B",
        "issue_name": "B",
        "mpid": "B",
        "crd": "1",
        "product_type": "B",
        "shares": Decimal(2),
        "trades": 2,
        "notional": Decimal(2),
        "last_update_date": date(2025, 12, 16),
        "venue_kind": "NON_ATS",
    }
    hashes = {rows.content_hash(frame.with_columns(one(column, value))) for column, value in changed.items()}
    assert len(hashes | {rows.content_hash(frame)}) == 1 + len(changed)
    others = {"week_ending": date(2025, 11, 21), "tier": "OTC", "venue_name": "B"}
    assert {rows.content_hash(frame.with_columns(one(column, value))) for column, value in others.items()} == {
        rows.content_hash(frame)
    }


texts_of_rows = st.text(st.sampled_from("aAbB1 ~\x01{}\u00e9\u2013\U0001f600"), max_size=3)
any_rows = st.dictionaries(st.tuples(*[texts_of_rows] * 6), st.integers(0, 10**6), min_size=1, max_size=12)


@few
@given(any_rows)
def test_rows_are_in_the_order_of_their_canonical_texts(week: dict[tuple[str, ...], int]) -> None:
    """Fields that begin one another, and characters above and below the pipe, too."""
    frame = pl.concat([row_of(key, trades) for key, trades in week.items()])
    ordered, content_hash = rows.in_order(frame)
    expected = sorted(bytes(rows.canonical_text(frame)).decode().split("\n")[:-1])
    assert bytes(rows.canonical_text(ordered)).decode().split("\n")[:-1] == expected
    assert content_hash == hashlib.sha256("".join(f"{line}\n" for line in expected).encode()).hexdigest()


def row_of(key: tuple[str, ...] = ("A", "A", "A", "", "A", ""), trades: int = 1) -> pl.DataFrame:
    """A row of an ATS where the key has an MPID, and of a firm where it has none."""
    symbol, issue, mpid, crd, name, product = key
    kind = "ATS" if mpid else "NON_ATS"
    first = (date(2025, 11, 14), "NMS_TIER_1", kind, symbol, issue, mpid, crd, name)
    return pl.DataFrame([(*first, product, Decimal(1), trades, None, date(2025, 12, 15))], rows.SCHEMA, orient="row")


def one(column: str, value: object) -> pl.Expr:
    return pl.lit(value, rows.SCHEMA[column]).alias(column)
