"""The work that the engines are compared at, and what each must answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.finra.rows import ATS, NON_ATS

KINDS = (ATS, NON_ATS)


@dataclass(frozen=True, slots=True)
class Week:
    """A week's analytics in figures that tell two answers apart: how many venues per tier, and per tier and kind how many
    symbols and the sum of their HHI.
    """

    venues: int
    symbols: int
    hhi: float

    def is_that_of(self, other: Week) -> bool:
        """Equal, HHI to 1e-12 of its sum."""
        return (self.venues, self.symbols) == (other.venues, other.symbols) and abs(
            self.hhi - other.hhi
        ) <= 1e-12 * other.hhi


class Engine(Protocol):
    """What every engine does. A `table` is its own kind of one."""

    def read(self, parts: Mapping[str, bytes]) -> object:
        """The rows of a web file's parts, by venue kind: each line with a reason or none, kept ones typed and in order."""

    def content_hash(self, table: object) -> str:
        """Canonical texts of rows in their order, hashed."""

    def write(self, table: object, path: Path) -> None:
        """Parquet, zstd, row groups of 16,384."""

    def week(self, paths: Sequence[Path]) -> Week:
        """Totals, share and rank of each tier's venues; HHI of each symbol by tier and kind."""

    def difference(self, before: Path, after: Path) -> tuple[int, int, int]:
        """Rows added, changed and removed."""

    def of_symbol(self, paths: Sequence[Path], symbol: str) -> int:
        """How many rows a symbol has."""
