"""The documents of a release: `datapackage.json`, a README, the dictionary for spreadsheets, SQL for DuckDB."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipeline.models import data_kinds
from pipeline.readers import fields, formats
from pipeline.readers.dictionary import DATASETS
from pipeline.readers.fields import Dataset, Field
from pipeline.readers.parameters import SAMPLES
from pipeline.weeks.analytics import CALCULATION_VERSION

KIND = "marketspine-release"
DESCRIPTOR = "datapackage.json"


@dataclass(frozen=True, slots=True)
class Resource:
    """A file in a release's descriptor. `inputs` is a hash of all inputs of its rows."""

    path: str
    dataset: str
    size: int
    sha256: str
    rows: int
    inputs: str
    captures: tuple[str, ...]

    @classmethod
    def read(cls, said: dict[str, object]) -> Resource:
        """The resource that `as_document` wrote; KeyError, TypeError or ValueError for anything else."""
        captures = said["captures"]
        if not isinstance(captures, list):
            raise TypeError("captures is no list")
        return cls(
            path=str(said["path"]),
            dataset=str(said["dataset"]),
            size=int(str(said["bytes"])),
            sha256=str(said["hash"]).removeprefix("sha256:"),
            rows=int(str(said["rows"])),
            inputs=str(said["inputs"]),
            captures=tuple(map(str, captures)),
        )

    def as_document(self) -> dict[str, object]:
        """The resource for the descriptor."""
        return {
            "name": self.path.removesuffix(".parquet").replace("/", ".").lower(),
            "path": self.path,
            "dataset": self.dataset,
            "format": "parquet",
            "mediatype": "application/vnd.apache.parquet",
            "bytes": self.size,
            "hash": f"sha256:{self.sha256}",
            "rows": self.rows,
            "inputs": self.inputs,
            "captures": list(self.captures),
            "schema": schema_of(DATASETS[self.dataset]),
        }


def descriptor(name: str, as_of: datetime | None, position: int, resources: Collection[Resource]) -> dict[str, object]:
    """The Data Package of a release."""
    samples = {"samples": True, "description": SAMPLES.text} if data_kinds.shows_samples() else {}
    return {
        **samples,
        "name": name.lower(),
        "kind": KIND,
        "title": f"FINRA OTC transparency data as known at {name}",
        "version": fields.SCHEMA_VERSION,
        "as_of": as_of.isoformat() if as_of else None,
        "position": position,
        "calculation_version": CALCULATION_VERSION,
        "sources": [{"title": fields.SOURCE}],
        "licenses": [{"name": "finra-terms", "title": fields.TERMS}],
        "resources": [one.as_document() for one in resources],
    }


def footer(dataset: Dataset, captures: Collection[str], rows: int) -> dict[str, object]:
    """The footer of a file. It does not name the release, since a later one links the same file."""
    return {
        **({"samples": True} if data_kinds.shows_samples() else {}),
        "dataset": dataset.name,
        "captures": list(captures),
        "rows": rows,
        "calculation_version": CALCULATION_VERSION,
        "schema_version": fields.SCHEMA_VERSION,
        "source": fields.SOURCE,
        "terms": fields.TERMS,
        "fields": {one.name: {"meaning": one.meaning, "unit": one.unit, "null": one.null} for one in dataset.fields},
    }


def schema_of(dataset: Dataset) -> dict[str, object]:
    """A dataset's Table Schema."""
    return {"fields": [_field(field) for field in dataset.fields], "primaryKey": list(dataset.key)}


def _field(field: Field) -> dict[str, object]:
    said: dict[str, object] = {"name": field.name, "type": table_type(field.type), "description": field.meaning}
    if field.unit:
        said["unit"] = field.unit
    if field.null:
        said["null"] = field.null
    return {**said, "constraints": {"required": not field.null}}


def table_type(kind: pl.DataType) -> str:
    """The name of a polars type in Table Schema."""
    names: list[tuple[type[pl.DataType], str]] = [
        (pl.Datetime, "datetime"),
        (pl.Date, "date"),
        (pl.Decimal, "number"),
        (pl.Float64, "number"),
        (pl.Int64, "integer"),
        (pl.Boolean, "boolean"),
        (pl.List, "array"),
    ]
    return next((name for one, name in names if isinstance(kind, one)), "string")


def dictionary() -> str:
    """Every field of every dataset, as CSV."""
    rows = [
        (dataset.name, field.name, str(field.type), field.unit, field.null or "never", field.meaning)
        for dataset in DATASETS.values()
        for field in dataset.fields
    ]
    names = ["dataset", "field", "type", "unit", "null", "meaning"]
    return formats.csv(pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row"))


def readme(name: str) -> str:
    """The README for people."""
    mark = f"**SAMPLES: {SAMPLES.text}.**\n\n" if data_kinds.shows_samples() else ""
    return f"""# Release {name}

{mark}{fields.SOURCE}, with every vintage, as known at {name}. {fields.TERMS}.

- `{DESCRIPTOR}` lists every file with its bytes, SHA-256, rows, schema and the captures it comes from. It is written last.
- `rows/TIER/WEEK.parquet` are FINRA's rows, the newest vintage of each; `row_history/` has all versions of every row.
- `venue_week`, `symbol_week/`, `symbol_venue_week/` and `market_week` are figures; `restatements` and `captures` the ledger;
  `differences/` has what each vintage changed, row by row.
- `readiness_changes` has each verdict since when a week may be used, up to the moment of the release.
- `dictionary.csv` explains each field. `catalog.sql` is for DuckDB: run `duckdb -init catalog.sql` in this folder.
- `scan_parquet` of polars and `read_parquet` of pandas (`dtype_backend="pyarrow"`) read a folder, `rows` say, as one table.
"""


VIEWS = {
    "rows": "rows/*/*.parquet",
    "row_history": "row_history/*/*.parquet",
    "differences": "differences/*.parquet",
    "venue_week": "venue_week.parquet",
    "market_week": "market_week.parquet",
    "symbol_week": "symbol_week/*.parquet",
    "symbol_venue_week": "symbol_venue_week/*.parquet",
    "restatements": "restatements.parquet",
    "captures": "captures.parquet",
    "readiness_changes": "readiness_changes.parquet",
    "partitions": "partitions.parquet",
    "weeks": "weeks.parquet",
    "readiness": "readiness.parquet",
    "revision_profile": "revision_profile.parquet",
}
MACROS = """-- The rows as they were known at an instant: from rows_as_of(timestamptz '2026-11-18 00:00:00+00')
create or replace macro rows_as_of(instant) as table
  select * from row_history where known_from <= instant and (known_to is null or known_to > instant);
-- The verdicts as they were at an instant: from readiness_as_of(timestamptz '2026-11-18 00:00:00+00') where use = 'trading'
create or replace macro readiness_as_of(instant) as table
  select * from readiness_changes where occurred_at <= instant
  qualify row_number() over (partition by week_ending, use order by position desc) = 1;
-- Venues by week with the change on the week before. A venue that was not there then has null, not an older week.
create or replace view venue_changes as
  select now.*, before.share as share_before, (now.share - before.share) * 1e4 as share_change_bp,
         before.rank - now.rank as rank_change
  from venue_week now left join venue_week before
    on before.week_ending = now.week_ending - 7 and before.tier = now.tier and before.venue_kind = now.venue_kind
   and before.mpid = now.mpid and before.crd = now.crd
   and (now.mpid <> '' or before.venue_name = now.venue_name);
"""


def catalog(paths: Collection[str]) -> str:
    """SQL for DuckDB: a view of each dataset that has files among `paths`, and what joins them."""
    there = {path.partition("/")[0] for path in paths}
    views = [
        f"create or replace view {name} as from '{files}';\n"
        for name, files in VIEWS.items()
        if files.partition("/")[0] in there
    ]
    return "".join(["-- For DuckDB, run in the folder of the release: duckdb -init catalog.sql\n", *views, MACROS])
