"""The concentration of each symbol: one Parquet file of a snapshot, derived from its captures.

    analytics/{week_ending}/s{sequence:04}-{inputs_hash[:12]}.parquet

Sorted by scope, family and security, as vintage files are, with the week as a column, so that the files of several weeks
make one table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import polars as pl
from polars.exceptions import PanicException, PolarsError

from pipeline.models import AnalyticsSnapshot, Capture, FileCheck, FileState
from pipeline.models.data_kinds import manage_py
from pipeline.vintages import archive, files, read, store
from pipeline.vintages.store import VintageDamaged

FOLDER = "analytics"
ROW_GROUP = (
    65_536  # rows: of each scope and kind a symbol has one, so that no group is passed over; few are read quicker
)
COLUMNS = ("symbol", "issue_name", "shares", "trades", "venues", "hhi_low", "hhi_high")


@dataclass(frozen=True, slots=True)
class SymbolConcentration:
    """How concentrated the week's volume of a security was over venues; `hhi_low` and `hhi_high` as for a market."""

    symbol: str
    issue_name: str
    shares: Decimal
    trades: int
    venues: int
    hhi_low: float | None
    hhi_high: float | None


def write(snapshot: AnalyticsSnapshot, inputs: Collection[Capture], symbols: pl.DataFrame) -> None:
    """Write the file of a snapshot that is to be made, and note it in the snapshot: path, bytes, SHA-256.

    `symbols` has the columns of `concentration.SYMBOLS`, texts of which may be categories. All of it is on the disk when
    this returns.
    """
    path = f"{FOLDER}/{snapshot.week_ending}/s{snapshot.sequence:04}-{snapshot.inputs_hash[:12]}.parquet"
    frame = symbols.select(pl.lit(snapshot.week_ending).alias("week_ending"), pl.all())
    written = store.write_parquet(path, frame, _label(snapshot, inputs), ROW_GROUP)
    snapshot.symbols_path, snapshot.symbols_bytes, snapshot.symbols_sha256 = written.path, written.size, written.sha256


def _label(snapshot: AnalyticsSnapshot, inputs: Collection[Capture]) -> dict[str, str]:
    """The key-value metadata of the file."""
    return {
        "week_ending": snapshot.week_ending.isoformat(),
        "sequence": str(snapshot.sequence),
        "calculation_version": str(snapshot.calculation_version),
        "computed_from": "\n".join(sorted(capture.capture_id for capture in inputs)),
    }


def of_snapshot(snapshot: AnalyticsSnapshot) -> pl.LazyFrame:
    """A row per scope, family and security: the week, and the columns of `concentration.SYMBOLS`.

    VintageDamaged when the file is missing or is not what was written, StorageAway when the storage is not mounted. Collect
    it within `naming_damage`.
    """
    try:
        return read.scan(snapshot.symbols_path, snapshot.symbols_bytes, snapshot.symbols_sha256)
    except VintageDamaged as damage:
        raise damaged(snapshot, damage.how) from None


@contextmanager
def naming_damage(snapshot: AnalyticsSnapshot) -> Iterator[None]:
    """An error of polars or of the system within becomes VintageDamaged where the file is not what was written."""
    try:
        yield
    except (PolarsError, PanicException, OSError):
        check(snapshot, whole=True)
        raise


def check(snapshot: AnalyticsSnapshot, *, whole: bool) -> None:
    """VintageDamaged unless the file is there and has its size; with `whole` also where a byte of it has changed.

    StorageAway when the storage is not mounted.
    """
    of_snapshot(snapshot)
    if whole and hashlib.sha256(files.content_of(snapshot.symbols_path)).hexdigest() != snapshot.symbols_sha256:
        raise damaged(snapshot, "is not what was written: its hash differs")


def damaged(snapshot: AnalyticsSnapshot, how: str) -> VintageDamaged:
    """That something is wrong with the file, and what repairs it."""
    path = snapshot.symbols_path
    repair = f"{manage_py()} rebuild_vintages --weeks {snapshot.week_ending}"
    return VintageDamaged(f"{snapshot}: the file of its symbols {how} ({path}); `{repair}` makes it again", path, how)


def lost() -> list[AnalyticsSnapshot]:
    """The snapshots whose file is not there, or was found to be damaged. ArchiveDamaged when the storage cannot be asked."""
    snapshots = _all()
    present = archive.present_files({snapshot.symbols_path for snapshot in snapshots})
    damaged = _known_to_be_damaged()
    return [one for one in snapshots if one.symbols_path not in present or one.symbols_sha256 in damaged]


def read_newest(number: int) -> dict[str, bool]:
    """Read so many files whole, of the newest weeks: by their hash, whether each is what was written, where that is news."""
    damaged = _known_to_be_damaged()
    found = {snapshot.symbols_sha256: _is_whole(snapshot) for snapshot in _all()[::-1][:number]}
    return {sha256: is_whole for sha256, is_whole in found.items() if is_whole == (sha256 in damaged)}


def _known_to_be_damaged() -> set[str]:
    return set(FileCheck.objects.filter(state=FileState.DAMAGED).values_list("sha256", flat=True))


def _is_whole(snapshot: AnalyticsSnapshot) -> bool:
    try:
        check(snapshot, whole=True)
    except (VintageDamaged, OSError):
        return False
    return True


def _all() -> list[AnalyticsSnapshot]:
    return list(AnalyticsSnapshot.objects.order_by("week_ending", "sequence"))


def largest(snapshot: AnalyticsSnapshot, scope: str, family: str, begins: str = "") -> pl.DataFrame:
    """The symbols of a scope and family that begin with a text (case counts), by volume; the columns of the file.

    VintageDamaged when the file is lost, StorageAway when the storage is not mounted.
    """
    fits = (pl.col("scope") == scope) & (pl.col("family") == family) & pl.col("symbol").str.starts_with(begins)
    found = of_snapshot(snapshot).filter(fits)
    with naming_damage(snapshot):
        return found.collect().sort("shares", "symbol", "issue_name", descending=[True, False, False])


def listed(frame: pl.DataFrame) -> list[SymbolConcentration]:
    """The rows of a frame that has COLUMNS."""
    return [SymbolConcentration(*row) for row in frame.select(COLUMNS).iter_rows()]
