"""The tables of the analyst's pages beside the answers that they show: by field, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import polars as pl
from django.urls import resolve

from pipeline.admin.market.frame import Contents, Section
from pipeline.admin.market.tables import HEADERS, said
from pipeline.admin.shared import figures
from pipeline.readers import DATASETS

Line = tuple[str, ...]
BESIDE = {
    "Share before",
    "Change, bp",
    "Shares before",
    "Trades before",
}  # what pages have of the week or version before


@dataclass(frozen=True, slots=True)
class Shown:
    """A table: the dataset that it says it shows, the fields of its columns, its lines in any order, where the CSV is."""

    dataset: str
    fields: Line
    lines: list[Line]
    more: int
    csv: str


def tables_of(contents: Contents) -> Iterator[Shown]:
    """Every table of a page that can be had as a file, with its fold, but the triangle, whose columns are ages."""
    for section in contents.sections:
        if section.table is None or not section.downloads:
            continue
        dataset, csv = source_of(section)
        names = {HEADERS.get(name) or name.replace("_", " ").capitalize(): name for name in DATASETS[dataset].names}
        headers = [header.text for header in section.table.headers]
        if set(headers) - set(names) <= BESIDE:
            fields = tuple(names[text] for text in headers if text in names)
            folded = [section.fold.table] if section.fold else []
            whole = [line for table in (section.table, *folded) for line in table.lines]
            lines = [tuple(line[at].text for at, text in enumerate(headers) if text in names) for line in whole]
            yield Shown(dataset, fields, sorted(lines), sum(table.more for table in (section.table, *folded)), csv)


def source_of(section: Section) -> tuple[str, str]:
    """The dataset of a section, by the address of its CSV, and that address."""
    [csv] = [one.url for one in section.downloads if one.name == "CSV"]
    return f"{resolve(urlsplit(csv).path).url_name}".removeprefix("api_"), csv


def lines_of(records: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> list[Line]:
    """The lines in which a page shows records of an answer, in any order."""
    return sorted(tuple(_text(name, record[name]) for name in fields) for record in records)


def _text(name: str, value: object) -> str:
    return figures.NONE if value is None else said(name, value)


def records_of(csv: bytes, dataset: str) -> list[dict[str, Any]]:
    """The rows of a CSV file of a dataset, each value of the type that the dictionary says."""
    texts = pl.read_csv(csv, infer_schema=False)
    schema = DATASETS[dataset].schema
    assert texts.columns == list(schema)
    return texts.select(_typed(name, kind) for name, kind in schema.items()).to_dicts()


def _typed(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(kind, pl.Datetime):
        return column.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit=kind.time_unit).dt.replace_time_zone("UTC")
    if isinstance(kind, pl.Date):
        return column.str.to_date("%Y-%m-%d")
    if isinstance(kind, pl.Boolean):
        return column == "true"
    if isinstance(kind, pl.List):
        return column.str.split("; ")
    return column.cast(kind)
