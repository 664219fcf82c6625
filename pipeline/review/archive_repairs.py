"""The repairs of files that the archive has lost.

A payload comes back from the source while the source has it, else from a backup. A vintage file is made again from its
payload, the file of a snapshot's symbols from vintage files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.finra.sources.api.access import NAME as API
from pipeline.integrity import losses, lost_symbols, restoring
from pipeline.models import PartitionStatus, RunPartition
from pipeline.runs.history import IDLE
from pipeline.vintages import holdings
from pipeline.vintages.holdings import Lost
from pipeline.weeks import symbols

SHOWN = 5
UPLOAD = "upload"
LOST = "the archived payload is lost"
CHECK = ("check_archive",)
GONE = (
    "mount the archive, or restore it from a backup, then have it checked. `rebuild_vintages` begins anew without them"
)
FROM_BACKUP = (
    "No source has them any more: copy the files from a backup of the archive, then have it checked. Without a backup, "
    "resolve their anomalies with a note"
)


@dataclass(frozen=True, slots=True)
class Repair:
    """A loss, and the words of the command that repairs it, or checks that it is repaired."""

    what: str
    words: tuple[str, ...]


def repairs() -> Iterator[Repair]:
    """One repair for all where the whole archive is gone; else a repair for each way of mending. Reads only."""
    held = holdings.holdings()
    if losses.is_gone(held):
        yield Repair(f"{held.gone}: {GONE}", CHECK)
    if held.gone:
        return
    lacking = restoring.lacking()
    if lacking:
        yield Repair(losses.behind(lacking), ("restore_captures",))
    lost = losses.unaccepted(held.lost)
    without_payload = {one.capture.pk for one in held.lost if one.is_payload}
    payload_first = [one for one in lost if one.capture.pk in without_payload]
    yield from _from_source([one for one in payload_first if one.is_newest])
    yield from _from_backup([one for one in payload_first if not one.is_newest])
    yield from _made_again([one for one in lost if one.capture.pk not in without_payload])
    yield from _computed_again()
    yield from _over(held.lost)


def _from_source(lost: Iterable[Lost]) -> Iterator[Repair]:
    grouped: dict[tuple[str, ...], list[Lost]] = {}
    for one in lost:
        grouped.setdefault(_way(one), []).append(one)
    for (command, tier, *how), ones in grouped.items():
        weeks = ",".join(dict.fromkeys(one.capture.partition.week_ending.isoformat() for one in ones))
        if command == "ingest_file":
            words: tuple[str, ...] = (command, *how, "--tier", tier, "--week", weeks)
        else:
            words = (command, "--weeks", weeks, "--tiers", tier, *how)
        yield Repair(_listed(ones), words)


def _way(one: Lost) -> tuple[str, ...]:
    """The command that may bring it back, the tier, and its options. The API's other bytes stand in for lost ones."""
    capture, tier = one.capture, one.capture.partition.tier
    if capture.source == UPLOAD:
        return ("ingest_file", tier, capture.payload_uri.removeprefix(f"{UPLOAD}:"))
    if capture.source != API and _was_asked(one):
        return ("backfill", tier, "--force", "--reason", LOST)
    return ("backfill", tier)


def _was_asked(one: Lost) -> bool:
    """Whether the source was asked since the loss, and had other bytes: only a forced capture of those has a payload."""
    done = RunPartition.objects.filter(partition=one.capture.partition, status=PartitionStatus.DONE)
    return done.exclude(action__in=IDLE).filter(run__finished_at__gte=one.since).exists()


def _from_backup(lost: list[Lost]) -> Iterator[Repair]:
    if lost:
        yield Repair(f"{_listed(lost)}\n{FROM_BACKUP}", CHECK)


def _made_again(lost: list[Lost]) -> Iterator[Repair]:
    if lost:
        weeks = sorted({one.capture.partition.week_ending for one in lost})
        yield Repair(_listed(lost), ("rebuild_vintages", "--weeks", ",".join(map(str, weeks))))


def _computed_again() -> Iterator[Repair]:
    snapshots = lost_symbols.unaccepted(symbols.lost())
    if snapshots:
        weeks = sorted({snapshot.week_ending for snapshot in snapshots})
        first = snapshots[0].symbols_path
        files = f"{len(snapshots):,} files of the symbols of snapshots are missing or damaged, the first: {first}"
        yield Repair(files, ("rebuild_vintages", "--weeks", ",".join(map(str, weeks))))


def _over(lost: Iterable[Lost]) -> Iterator[Repair]:
    """Anomalies about files that are there again: the next check ends them."""
    still = {(one.capture.partition_id, one.needed.sha256) for one in lost}
    damaged = losses.standing().exclude(losses.BEHIND | lost_symbols.ABOUT_SYMBOLS)
    over = [one for one in damaged if (one.partition_id, one.payload_sha256) not in still]
    if over:
        yield Repair(f"{len(over)} anomalies are about files that are there again: the next check ends them", CHECK)


def _listed(lost: list[Lost]) -> str:
    more = [f"and {len(lost) - SHOWN:,} more"] if len(lost) > SHOWN else []
    return "\n".join([*(one.sentence for one in lost[:SHOWN]), *more])
