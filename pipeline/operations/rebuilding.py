"""Rebuilding derived files that the archive has lost or damaged.

A vintage file is made from the payload of its capture, the file of a snapshot's symbols from the vintage files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pipeline.integrity import losses
from pipeline.models import Act, AnalyticsSnapshot, Capture
from pipeline.operations.orders import Order, write_down
from pipeline.resilience.failures import PASSING, explained
from pipeline.vintages import file_checks, holdings, read, store
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.read import NoSuchVintage
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import analytics, symbols


class Fate(StrEnum):
    """The result of checking a derived file."""

    WHOLE = "WHOLE"
    REBUILT = "REBUILT"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The fate of a capture's vintage file, or of the file of a snapshot's symbols, and the reason."""

    of: Capture | AnalyticsSnapshot
    fate: Fate
    why: str

    @property
    def file(self) -> tuple[str, int | None, str]:
        """Its path, its bytes, their SHA-256."""
        if isinstance(self.of, Capture):
            return self.of.vintage_path, self.of.vintage_bytes, self.of.vintage_sha256
        return self.of.symbols_path, self.of.symbols_bytes, self.of.symbols_sha256


def rebuild_vintages(weeks: Collection[date], order: Order, today: date, *, verify: bool = False) -> Iterator[Rebuilt]:
    """Rebuild the lost files of these weeks, or of all where none is given; one result for each file, as it is done.

    A file is lost when it is missing, has another size, or was found damaged; with `verify` each is read whole. A bare
    folder is taken for the right one. At the end the archive is checked, and the weeks concerned are judged again.
    """
    store.begin_anew()
    damaged = {one.needed.path for one in holdings.recorded() if not one.is_payload}
    done: list[Rebuilt] = []
    with _written_down(done, order):
        for capture in _captures(weeks):
            done.append(_rebuilt(capture, whole=verify or capture.vintage_path in damaged))
            yield done[-1]
        for snapshot in _snapshots(weeks):
            done.append(_with_symbols(snapshot, whole=verify))
            yield done[-1]
    losses.check(today)


def _captures(weeks: Collection[date]) -> list[Capture]:
    """Those that have a file, in the order of weeks, tiers and versions."""
    held = Capture.objects.normalized().filter(pruned_at__isnull=True).select_related("partition")
    wanted = held.filter(partition__week_ending__in=weeks) if weeks else held
    return list(wanted.order_by("partition__week_ending", "partition__tier", "version"))


def _rebuilt(capture: Capture, *, whole: bool) -> Rebuilt:
    try:
        _check(capture, whole=whole)
    except VintageDamaged as damage:
        return _made_again(capture, damage)
    if whole:
        file_checks.record_read({capture.vintage_sha256: True})
    return Rebuilt(capture, Fate.WHOLE, "it is there and what was written" if whole else "it is there")


def _check(capture: Capture, *, whole: bool) -> None:
    """VintageDamaged where the file of a capture is lost; without `whole` it is not read."""
    if whole:
        store.verify(capture)
    else:
        read.check_size(capture)


def _made_again(capture: Capture, damage: VintageDamaged) -> Rebuilt:
    try:
        file = store.rebuild(capture)
    except (ArchiveDamaged, VintageDamaged, OSError) as error:
        if isinstance(error, OSError) and error.errno in PASSING:
            raise
        file_checks.record_read({capture.vintage_sha256: False})
        return Rebuilt(capture, Fate.LOST, f"{damage.how}, and {explained(error) or error}")
    file_checks.record_read({file.sha256: True})
    return Rebuilt(capture, Fate.REBUILT, f"{damage.how}; {file.rows:,} rows were read from its payload")


def _snapshots(weeks: Collection[date]) -> list[AnalyticsSnapshot]:
    wanted = AnalyticsSnapshot.objects.filter(week_ending__in=weeks) if weeks else AnalyticsSnapshot.objects.all()
    return list(wanted.order_by("week_ending", "sequence"))


def _with_symbols(snapshot: AnalyticsSnapshot, *, whole: bool) -> Rebuilt:
    try:
        symbols.check(snapshot, whole=whole)
    except VintageDamaged as damage:
        try:
            analytics.rebuild_symbols(snapshot)
        except (VintageDamaged, NoSuchVintage) as error:
            return Rebuilt(snapshot, Fate.LOST, f"{damage.how}, and {error}")
        file_checks.record_read({snapshot.symbols_sha256: True})
        return Rebuilt(snapshot, Fate.REBUILT, f"{damage.how}; computed again from the snapshot's captures")
    file_checks.record_read({snapshot.symbols_sha256: True})
    return Rebuilt(snapshot, Fate.WHOLE, "it is there and what was written" if whole else "it is there")


@contextmanager
def _written_down(done: list[Rebuilt], order: Order) -> Iterator[None]:
    """Write the entry of the files that were rebuilt, also after a stop midway."""
    try:
        yield
    finally:
        rebuilt = [one.of for one in done if one.fate is Fate.REBUILT]
        write_down(Act.REBUILD_VINTAGES, order, rebuilt, summary(done))


def summary(done: Collection[Rebuilt]) -> str:
    """The results of all files, in a sentence."""
    counts = {fate: sum(one.fate is fate for one in done) for fate in Fate}
    whole, rebuilt, lost = (f"{counts[fate]:,}" for fate in Fate)
    return f"{len(done):,} files: {whole} whole, {rebuilt} made again, {lost} lost."
