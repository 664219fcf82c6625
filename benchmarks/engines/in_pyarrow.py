"""pyarrow: the same with its compute functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet

from benchmarks.engines.in_duckdb import SPELLINGS
from benchmarks.engines.work import Week
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.rows import ATS, FIGURES, KEY

FIELDS = ("named_tier", "symbol", "issue_name", "venue_name", "mpid", "shares", "trades", "last_update_date")
compute: Any = pc  # its functions are made when it is imported, so that no checker knows them


class PyArrow:
    """Arrow tables."""

    def __init__(self, key: PartitionKey) -> None:
        self._key = key

    def read(self, parts: Mapping[str, bytes]) -> pa.Table:
        """Lines, fields, reasons, types, order."""
        kept = pa.concat_tables([self._read_part(kind, content) for kind, content in parts.items()])
        keys = compute.binary_join_element_wise(
            kept["symbol"], kept["issue_name"], kept["mpid"], kept["crd"], _firm(kept), kept["product_type"], "", "|"
        )
        first = (
            pa.table({"key": keys, "row": pa.array(range(kept.num_rows))}).group_by("key").aggregate([("row", "min")])
        )
        order = compute.sort_indices(first["key"])
        return kept.take(first["row_min"].take(order))

    def content_hash(self, table: Any) -> str:
        """The texts are joined in Arrow."""
        millionths = compute.cast(
            compute.multiply(table["shares"], pa.scalar(1_000_000, pa.decimal128(7, 0))), pa.int64()
        )
        lines = compute.binary_join_element_wise(
            *(table[name] for name in ("symbol", "issue_name", "mpid", "crd")),
            _firm(table),
            table["product_type"],
            compute.cast(millionths, pa.string()),
            compute.cast(table["trades"], pa.string()),
            "",
            compute.cast(table["last_update_date"], pa.string()),
            "|",
        )
        one = compute.binary_join(pa.array([lines.to_pylist()], pa.list_(pa.string())), "\n")[0].as_py()
        return hashlib.sha256(f"{one}\n".encode()).hexdigest()

    def write(self, table: Any, path: Path) -> None:
        """As the others."""
        pa.parquet.write_table(table, path, compression="zstd", row_group_size=16_384)

    def week(self, paths: Sequence[Path]) -> Week:
        """Groups of groups; ranks come from a sort."""
        rows = pa.concat_tables([_read(path) for path in paths])
        rows = rows.append_column("firm", _firm(rows)).append_column(
            "volume", compute.cast(rows["shares"], pa.float64())
        )
        securities = compute.binary_join_element_wise(rows["symbol"], rows["issue_name"], "|")
        venues = (
            rows.append_column("security", securities)
            .group_by(["tier", "venue_kind", "mpid", "crd", "firm"])
            .aggregate([("shares", "sum"), ("trades", "sum"), ("security", "count_distinct")])
            .sort_by([("tier", "ascending"), ("venue_kind", "ascending"), ("shares_sum", "descending")])
        )
        security = ["tier", "venue_kind", "symbol", "issue_name"]
        cells = rows.group_by([*security, "mpid", "crd", "firm"]).aggregate([("volume", "sum")])
        squares = compute.multiply(cells["volume_sum"], cells["volume_sum"])
        symbols = cells.append_column("squares", squares).group_by(security)
        sums = symbols.aggregate([("volume_sum", "sum"), ("squares", "sum")])
        hhi = compute.divide(sums["squares_sum"], compute.power(sums["volume_sum_sum"], 2))
        known = compute.sum(compute.if_else(compute.is_nan(hhi), 0.0, hhi)).as_py()
        return Week(venues.num_rows, sums.num_rows, known)

    def difference(self, before: Path, after: Path) -> tuple[int, int, int]:
        """A full join by natural key."""
        old, new = (_keyed(_read(path)) for path in (before, after))
        both = old.join(new, keys=list(KEY), join_type="full outer", right_suffix="_after", coalesce_keys=False)
        added, removed = compute.is_null(both["symbol"]), compute.is_null(both["symbol_after"])
        other = compute.or_(added, removed)
        changed = [compute.fill_null(compute.not_equal(both[name], both[f"{name}_after"]), False) for name in FIGURES]
        is_changed = changed[0]
        for one in changed[1:]:
            is_changed = compute.or_(is_changed, one)
        counts = (added, compute.and_not(is_changed, other), removed)
        one, two, three = (compute.sum(found).as_py() for found in counts)
        return one, two, three

    def of_symbol(self, paths: Sequence[Path], symbol: str) -> int:
        """A filtered scan."""
        found = pa.dataset.dataset([str(path) for path in paths]).to_table(filter=pc.field("symbol") == symbol)
        return int(found.num_rows)

    def _read_part(self, kind: str, content: bytes) -> Any:
        lines = compute.split_pattern(pa.array([content.rstrip(b"\n").decode()]), "\n").values[1:]
        split = compute.split_pattern(lines, "|")
        fits = compute.and_(
            compute.equal(compute.list_value_length(split), len(FIELDS)),
            compute.invert(compute.match_substring(lines, "\0")),
        )
        split = split.filter(fits)
        fields = {name: compute.list_element(split, number) for number, name in enumerate(FIELDS)}
        table = pa.table(fields).filter(self._is_row(fields, kind))
        number = table.num_rows
        return pa.table(
            {
                "week_ending": pa.repeat(pa.scalar(self._key.week_ending), number),
                "tier": pa.repeat(self._key.tier.value, number),
                "venue_kind": pa.repeat(kind, number),
                **{name: table[name] for name in ("symbol", "issue_name", "mpid")},
                "crd": pa.repeat("", number),
                "venue_name": table["venue_name"],
                "product_type": pa.repeat("", number),
                "shares": compute.cast(table["shares"], pa.decimal128(18, 6)),
                "trades": compute.cast(table["trades"], pa.int64()),
                "notional": pa.nulls(number, pa.decimal128(38, 6)),
                "last_update_date": compute.cast(table["last_update_date"], pa.date32()),
            }
        )

    def _is_row(self, fields: Mapping[str, Any], kind: str) -> Any:
        """The rules, of which the reason is told: the place of the first that holds."""
        mpid, name, length = fields["mpid"], fields["venue_name"], compute.utf8_length
        misfits = [
            compute.not_equal(fields["named_tier"], SPELLINGS[self._key.tier]),
            compute.equal(mpid, "")
            if kind == ATS
            else compute.or_(compute.not_equal(mpid, ""), compute.equal(name, "")),
            compute.or_(compute.greater(length(fields["symbol"]), 40), compute.greater(length(name), 400)),
            compute.invert(compute.match_substring_regex(fields["shares"], r"^0*[0-9]{1,12}(\.[0-9]{1,6}0*)?$")),
            compute.invert(compute.match_substring_regex(fields["trades"], r"^0*[0-9]{1,12}$")),
            compute.is_null(compute.strptime(fields["last_update_date"], "%Y-%m-%d", "s", error_is_null=True)),
        ]
        reasons = compute.coalesce(
            *(compute.if_else(misfit, number, pa.scalar(None, pa.int64())) for number, misfit in enumerate(misfits))
        )
        return compute.is_null(reasons)


def _read(path: Path) -> Any:
    """A file's rows; polars' texts have long offsets, with which joining texts does not work."""
    table = pa.parquet.read_table(path)
    texts = [pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(texts))


def _firm(table: Any) -> Any:
    return compute.if_else(compute.equal(table["venue_kind"], ATS), "", table["venue_name"])


def _keyed(table: Any) -> Any:
    return table.append_column("firm", _firm(table)).select([*KEY, *FIGURES])
