"""Values put into the footer of a Parquet file: it is the file that polars writes with them."""

from __future__ import annotations

import io
from dataclasses import asdict

import polars as pl
import pytest

from pipeline.vintages import footer, store
from tests.vintages.frames import frame_of, label_of

ROWS = frame_of([("A", "UBSA", "1.5", 1), ("<version to come>", "UBSA", "2", 2)])


def test_a_file_labelled_later_is_the_one_that_is_labelled_at_once() -> None:
    label = label_of(ROWS, 12)
    metadata = {field: str(value) for field, value in asdict(label).items()}
    assert store.labelled(store.encode(ROWS), label) == store.encoded(ROWS, metadata)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384])
def test_a_value_may_have_any_length(length: int) -> None:
    value = "\u00e9" * (length // 2) + "x" * (length % 2)
    labelled = footer.with_values(store.encoded(ROWS, {"a": "<a>", "b": "<b>"}), {"<a>": value, "<b>": "b"})
    assert pl.read_parquet_metadata(io.BytesIO(labelled))["a"] == value
    assert labelled == store.encoded(ROWS, {"a": value, "b": "b"})


def test_a_value_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^'<a>' is not in the footer$"):
        footer.with_values(store.encoded(ROWS, {}), {"<a>": "a"})
