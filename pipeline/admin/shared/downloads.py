"""Tables for download: CSV, in which no cell starts a formula, and Parquet. Each invented row says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from io import BytesIO
from typing import Any

import polars as pl
import polars.selectors as cs
from django.contrib.admin import ModelAdmin
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils.http import content_disposition_header

from pipeline.models import data_kinds
from pipeline.readers.formats import without_formulas

ROWS_AT_ONCE = 20_000
View = Callable[..., HttpResponseBase]
CANNOT_BE_SERVED = HTTPStatus.CONFLICT  # no 404 and no bug: the archive lacks what the ledger names


def as_csv(name: str, table: pl.DataFrame) -> HttpResponseBase:
    """A CSV file; `name` is without suffix. Decimals are exact and without trailing zeros, null is empty."""
    plain = without_formulas(_marked(table)).with_columns(_exact(cs.decimal()))
    return _attached(StreamingHttpResponse(_lines(plain), content_type="text/csv; charset=utf-8"), f"{name}.csv")


def as_parquet(name: str, table: pl.DataFrame) -> HttpResponseBase:
    """A Parquet file with the table's own types; `name` is without suffix."""
    file = BytesIO()
    _marked(table).write_parquet(file, compression="zstd")
    return _attached(HttpResponse(file.getvalue(), content_type="application/vnd.apache.parquet"), f"{name}.parquet")


FORMATS: dict[str, Callable[[str, pl.DataFrame], HttpResponseBase]] = {"csv": as_csv, "parquet": as_parquet}


def addresses(admin: ModelAdmin[Any], pages: Mapping[str, View], files: Mapping[str, View]) -> list[URLPattern]:
    """The addresses below an object's own page: `difference/` for a page, `difference.csv` for a file."""
    of_pages = (_address(admin, f"{name}/", name, view) for name, view in pages.items())
    of_files = (_address(admin, name, name.replace(".", "_"), view) for name, view in files.items())
    return [*of_pages, *of_files]


def _address(admin: ModelAdmin[Any], route: str, name: str, view: View) -> URLPattern:
    named = f"{admin.opts.app_label}_{admin.opts.model_name}_{name}"
    return path(f"<path:object_id>/{route}", admin.admin_site.admin_view(view), name=named)


def _marked(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(samples=pl.lit("invented")) if data_kinds.shows_samples() else table


def _exact(columns: cs.Selector) -> pl.Expr:
    """Decimals as text without trailing zeros. They have six places: stripped zeros are never those of a whole number."""
    return columns.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")


def _lines(table: pl.DataFrame) -> Iterator[str]:
    """The file in pieces of a few thousand lines."""
    yield table.clear().write_csv(line_terminator="\r\n")
    for piece in table.iter_slices(ROWS_AT_ONCE):
        yield piece.write_csv(include_header=False, line_terminator="\r\n")


def _attached(response: HttpResponseBase, name: str) -> HttpResponseBase:
    name = data_kinds.file_name(name)
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    return response
