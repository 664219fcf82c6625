"""A frame in the forms in which it leaves the house: CSV, JSON documents, Parquet, pandas, Arrow.

The same columns in each. Decimals are exact in all of them: text with six places in JSON and CSV, DECIMAL in Parquet.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.readers.errors import ErrorKind, ReadersError
from pipeline.readers.meta import Meta

if TYPE_CHECKING:
    import pandas
    import pyarrow

UTC_TEXT = "%Y-%m-%dT%H:%M:%S%.6fZ"
ROW_GROUP = 65_536
FOOTER = "marketspine"


def _texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Days, instants and decimals as the text that JSON and CSV have."""
    shown = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if isinstance(kind, pl.Datetime):
            column = column.dt.to_string(UTC_TEXT)
        elif isinstance(kind, pl.Date):
            column = column.dt.to_string("%Y-%m-%d")
        elif isinstance(kind, pl.Decimal):
            column = column.cast(pl.String)
        shown.append(column)
    return frame.select(shown)


def documents(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Each row under the names of its columns. Decimals are text with six places, never a double."""
    return _texts(frame).to_dicts()


def csv(frame: pl.DataFrame) -> str:
    """UTF-8 text with a header, LF, a decimal point; null is empty, an empty text is quoted. Lists are joined by "; "."""
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    return _texts(frame).with_columns(pl.col(lists).list.join("; ")).write_csv()


def ndjson(frame: pl.DataFrame) -> str:
    """A document a line; the last says that it is the last, and how many rows there are."""
    return _texts(frame).write_ndjson() + json.dumps({"_end": True, "rows": frame.height}) + "\n"


def parquet(frame: pl.DataFrame, meta: Meta | None = None) -> bytes:
    """A Parquet file that says in its footer what it is."""
    return parquet_saying(frame, meta.as_document() if meta else {})


def parquet_saying(frame: pl.DataFrame, said: Mapping[str, object]) -> bytes:
    """A Parquet file with a document in its footer."""
    footer = {FOOTER: json.dumps(said, sort_keys=True)} if said else {}
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", row_group_size=ROW_GROUP, metadata=footer)
    return buffer.getvalue()


def without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts that a spreadsheet would take for formulas, with an apostrophe before them."""
    texts = pl.col(pl.String)
    return frame.with_columns(
        pl.when(texts.str.contains(r"^[=+\-@\t\r]")).then("'" + texts).otherwise(texts).name.keep()
    )


def written(content: str, path: str | Path | None) -> str:
    """A text, also written to a file where a path is given."""
    if path is not None:
        Path(path).write_bytes(content.encode())
    return content


def to_arrow(frame: pl.DataFrame) -> pyarrow.Table:
    """As an Arrow table. ReadersError where pyarrow is not installed."""
    _require("pyarrow")
    return frame.to_arrow()


def to_pandas(frame: pl.DataFrame) -> pandas.DataFrame:
    """As a DataFrame of Arrow types. ReadersError where pandas or pyarrow is not installed."""
    _require("pyarrow")
    _require("pandas")
    return frame.to_pandas(use_pyarrow_extension_array=True)


def _require(package: str) -> None:
    try:
        __import__(package)
    except ImportError:
        raise ReadersError(
            ErrorKind.MISSING_PACKAGE,
            f"{package} is not installed: `pip install pandas pyarrow`, or take .to_polars() or .to_csv(path)",
        ) from None
