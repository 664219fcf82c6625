"""Making vintage files again that the archive has lost or damaged, from the payloads of their captures."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pipeline import archive_checks, archive_findings
from pipeline.models import Act, Capture
from pipeline.operations.orders import Order, write_down
from pipeline.vintages import read, store
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.store import VintageDamaged


class Fate(StrEnum):
    """What became of a vintage file."""

    WHOLE = "WHOLE"
    REBUILT = "REBUILT"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A capture's vintage file, what became of it, and why."""

    capture: Capture
    fate: Fate
    why: str


def rebuild_vintages(weeks: Collection[date], order: Order, today: date, *, verify: bool = False) -> Iterator[Rebuilt]:
    """Make again what is lost of these weeks, all where none is given; one result for each file, as it is done.

    Lost is a file that is not there, has another size, or was found to be damaged; with `verify` each is read whole. A bare
    folder is taken for the right one. At the end the archive is looked at, which judges the weeks concerned again.
    """
    store.begin_anew()
    damaged = {one.needed.path for one in archive_checks.recorded() if not one.is_payload}
    done: list[Rebuilt] = []
    with _written_down(done, order):
        for capture in _captures(weeks):
            done.append(_rebuilt(capture, whole=verify or capture.vintage_path in damaged))
            yield done[-1]
    archive_findings.look(today)


def _captures(weeks: Collection[date]) -> list[Capture]:
    """Those that have a file, in the order of weeks, tiers and versions."""
    held = Capture.objects.normalized().filter(pruned_at__isnull=True).select_related("partition")
    wanted = held.filter(partition__week_ending__in=weeks) if weeks else held
    return list(wanted.order_by("partition__week_ending", "partition__tier", "version"))


def _rebuilt(capture: Capture, *, whole: bool) -> Rebuilt:
    try:
        store.verify(capture) if whole else read.of_capture(capture)
    except VintageDamaged as damage:
        return _made_again(capture, damage)
    if whole:
        archive_checks.record_read({capture.vintage_sha256: True})
    return Rebuilt(capture, Fate.WHOLE, "it is there and what was written" if whole else "it is there")


def _made_again(capture: Capture, damage: VintageDamaged) -> Rebuilt:
    try:
        file = store.rebuild(capture)
    except (ArchiveDamaged, VintageDamaged) as error:
        archive_checks.record_read({capture.vintage_sha256: False})
        return Rebuilt(capture, Fate.LOST, f"{damage.how}, and {error}")
    archive_checks.record_read({file.sha256: True})
    return Rebuilt(capture, Fate.REBUILT, f"{damage.how}; {file.rows:,} rows were read from its payload")


@contextmanager
def _written_down(done: list[Rebuilt], order: Order) -> Iterator[None]:
    """Write down what was done, also where it stops midway."""
    try:
        yield
    finally:
        rebuilt = [one.capture for one in done if one.fate is Fate.REBUILT]
        write_down(Act.REBUILD_VINTAGES, order, rebuilt, summary(done))


def summary(done: Collection[Rebuilt]) -> str:
    """What became of all, in a sentence."""
    counts = {fate: sum(one.fate is fate for one in done) for fate in Fate}
    whole, rebuilt, lost = (f"{counts[fate]:,}" for fate in Fate)
    return f"{len(done):,} vintage files: {whole} whole, {rebuilt} made again, {lost} lost."
