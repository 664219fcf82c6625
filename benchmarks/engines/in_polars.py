"""polars: reading, checking and hashing are the product's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from benchmarks.engines.work import Week
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.formats import web_file
from pipeline.finra.payloads import Part, PartName, pack
from pipeline.finra.rows import ATS, FIGURES, FIRM, KEY, content_hash

ROWS_OF_A_GROUP = 16_384
VENUE = ("tier", "venue_kind", "mpid", "crd", "firm")


class Polars:
    """The engine of the product."""

    def __init__(self, key: PartitionKey) -> None:
        self._key = key

    def read(self, parts: Mapping[str, bytes]) -> pl.DataFrame:
        """The product's reader, which puts rows in order and hashes them as it goes."""
        names = {kind: PartName.ATS if kind == ATS else PartName.NON_ATS for kind in parts}
        content, payload_format = pack(tuple(Part(names[kind], content) for kind, content in parts.items()))
        return web_file.read(content, payload_format, self._key, 0.1).frame

    def content_hash(self, table: object) -> str:
        """The product's."""
        assert isinstance(table, pl.DataFrame)
        return content_hash(table)

    def write(self, table: object, path: Path) -> None:
        """As the product writes vintage files."""
        assert isinstance(table, pl.DataFrame)
        table.write_parquet(path, compression="zstd", row_group_size=ROWS_OF_A_GROUP)

    def week(self, paths: Sequence[Path]) -> Week:
        """One pass for the venues, one for the symbols."""
        rows = pl.scan_parquet(list(paths)).with_columns(FIRM)
        totals = rows.group_by(VENUE).agg(
            pl.col("shares", "trades").sum(), pl.struct("symbol", "issue_name").n_unique()
        )
        total = pl.col("shares").cast(pl.Float64)
        venues = totals.with_columns(
            (total / total.sum().over("tier", "venue_kind")).alias("share"),
            pl.col("shares").rank("min", descending=True).over("tier", "venue_kind").alias("rank"),
        )
        volume = pl.col("shares").sum().cast(pl.Float64)
        cells = rows.group_by("tier", "venue_kind", "symbol", "issue_name", "mpid", "crd", "firm").agg(volume)
        share = pl.col("shares") / pl.col("shares").sum()
        symbols = cells.group_by("tier", "venue_kind", "symbol", "issue_name").agg(share.pow(2).sum().alias("hhi"))
        found, hhi = pl.collect_all([venues, symbols])
        return Week(found.height, hhi.height, float(hhi["hhi"].fill_nan(0).sum()))

    def difference(self, before: Path, after: Path) -> tuple[int, int, int]:
        """A full join by natural key."""
        old, new = (pl.scan_parquet(path).with_columns(FIRM).select(*KEY, *FIGURES) for path in (before, after))
        both = old.join(new, on=KEY, how="full", suffix="_after")
        added, removed = pl.col("symbol").is_null(), pl.col("symbol_after").is_null()
        is_other = pl.any_horizontal([pl.col(name).ne_missing(pl.col(f"{name}_after")) for name in FIGURES])
        counts = both.select(
            added.sum().alias("added"),
            (~added & ~removed & is_other).sum().alias("changed"),
            removed.sum().alias("removed"),
        )
        one, two, three = counts.collect().row(0)
        return one, two, three

    def of_symbol(self, paths: Sequence[Path], symbol: str) -> int:
        """A filtered scan."""
        return pl.scan_parquet(list(paths)).filter(pl.col("symbol") == symbol).collect().height
