"""The archive's own record of each capture, beside its payload: `captures/{capture_id}.json`.

A database may be restored from an older dump, while the archive keeps all later captures. By their records an id is never
given to other bytes, and captures that the database lost can be restored. A record is written as a *claim*, under the
partition's lock, before the capture is committed, and confirmed afterwards: a claim alone only reserves its id.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Max

from pipeline.checkpoints import checkpoints
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture, DataKind, FeedCounter, LedgerKind, Partition, capture_id_for
from pipeline.models.data_kinds import manage_py
from pipeline.models.feed import GAP
from pipeline.vintages import archive, files

FOLDER = "captures"
CONFIRMED, CLAIMED = ".json", ".claim"


class LedgerBehind(Exception):
    """The archive has captures of the partition that the ledger lacks: none is made on top of them."""


@dataclass(frozen=True, slots=True)
class Record:
    """The facts of a capture that its payload does not hold. Instants are aware; `run` is the number of its run.

    `position` is its place in the feed, None while its rows are not stored: no other capture ever gets it.
    `annuls` is the capture_id of the capture that it takes back.
    """

    capture_id: str
    week_ending: date
    tier: Tier
    version: int
    kind: str
    cause: str
    reason: str
    source_opinion: str
    requested_by: str
    request_reason: str
    captured_on: date
    captured_at: datetime
    normalized_at: datetime | None
    position: int | None
    run: int | None
    source: str
    payload_uri: str
    payload_format: str
    payload_sha256: str
    payload_bytes: int
    source_updated_at: datetime | None
    content_hash: str
    annuls: str | None
    data_kind: DataKind | None

    @classmethod
    def of_capture(cls, capture: Capture, data_kind: DataKind | None) -> Record:
        """The record of a capture in a ledger of this kind of data."""
        return cls(
            capture_id=capture.capture_id,
            week_ending=capture.partition.week_ending,
            tier=Tier(capture.partition.tier),
            version=capture.version,
            kind=capture.kind,
            cause=capture.cause,
            reason=capture.reason,
            source_opinion=capture.source_opinion,
            requested_by=capture.requested_by,
            request_reason=capture.request_reason,
            captured_on=capture.captured_on,
            captured_at=capture.captured_at,
            normalized_at=capture.normalized_at,
            position=capture.position,
            run=capture.run_id,
            source=capture.source,
            payload_uri=capture.payload_uri,
            payload_format=capture.payload_format,
            payload_sha256=capture.payload_sha256,
            payload_bytes=capture.payload_bytes,
            source_updated_at=capture.source_updated_at,
            content_hash=capture.content_hash,
            annuls=capture.annuls.capture_id if capture.annuls else None,
            data_kind=data_kind,
        )

    @classmethod
    def read(cls, text: bytes) -> Record:
        """The record in a text; ValueError, KeyError or TypeError when it holds none."""
        said: dict[str, Any] = json.loads(text)
        return cls(
            capture_id=said["capture_id"],
            week_ending=date.fromisoformat(said["week_ending"]),
            tier=Tier(said["tier"]),
            version=said["version"],
            kind=said["kind"],
            cause=said["cause"],
            reason=said["reason"],
            source_opinion=said["source_opinion"],
            requested_by=said["requested_by"],
            request_reason=said["request_reason"],
            captured_on=date.fromisoformat(said["captured_on"]),
            captured_at=datetime.fromisoformat(said["captured_at"]),
            normalized_at=_instant(said["normalized_at"]),
            position=said["position"],
            run=said["run"],
            source=said["source"],
            payload_uri=said["payload_uri"],
            payload_format=said["payload_format"],
            payload_sha256=said["payload_sha256"],
            payload_bytes=said["payload_bytes"],
            source_updated_at=_instant(said["source_updated_at"]),
            content_hash=said["content_hash"],
            annuls=said["annuls"],
            data_kind=DataKind(said["data_kind"]) if said["data_kind"] else None,
        )

    def text(self) -> bytes:
        """The record as JSON; days and instants in ISO format."""
        return json.dumps(asdict(self), indent=1, default=lambda value: value.isoformat()).encode()

    @property
    def key(self) -> PartitionKey:
        """The partition's natural key."""
        return PartitionKey(self.week_ending, self.tier)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids that the archive has a record of: of captures that were made, and claims."""

    confirmed: frozenset[str]
    claimed: frozenset[str]


def ids() -> Ids:
    """The ids that the archive knows. ArchiveDamaged when it cannot be listed."""
    names = archive.names(FOLDER)
    return Ids(_ids(names, CONFIRMED), _ids(names, CLAIMED))


def _ids(names: Iterable[str], kind: str) -> frozenset[str]:
    return frozenset(name.removesuffix(kind) for name in names if name.endswith(kind))


def ids_in_ledger(partition: Partition) -> frozenset[str]:
    """The ids of a partition's captures."""
    return frozenset(Capture.objects.filter(partition=partition).order_by().values_list("capture_id", flat=True))


def read(capture_id: str, kind: str = CONFIRMED) -> Record | None:
    """The record of an id; None where there is none, or where it cannot be read."""
    content = files.read(_path(capture_id, kind))
    try:
        return Record.read(content) if content is not None else None
    except (ValueError, KeyError, TypeError):
        return None


def next_id(key: PartitionKey, day: date, payload_sha256: str, archived: Ids, held: Collection[str]) -> str:
    """An id for a capture made on `day`: neither archive nor ledger has given it to other bytes.

    `held` are the ids of the partition's captures. Until the partition is locked another process may take the id:
    `is_free` tells.
    """
    nth = 1
    while True:
        wanted = capture_id_for(key, day, nth)
        is_taken = wanted in held or wanted in archived.confirmed
        if not is_taken and (wanted not in archived.claimed or _is_of(wanted, payload_sha256)):
            return wanted
        nth += 1


def is_free(capture_id: str, payload_sha256: str) -> bool:
    """Whether the archive has not given an id from `next_id` meanwhile; asked under the partition's lock."""
    if files.read(_path(capture_id, CONFIRMED)) is not None:
        return False
    return files.read(_path(capture_id, CLAIMED)) is None or _is_of(capture_id, payload_sha256)


def _is_of(capture_id: str, payload_sha256: str) -> bool:
    """Whether the id's claim is of the same bytes: then its capture ended before the commit."""
    claim = read(capture_id, CLAIMED)
    return claim is not None and claim.payload_sha256 == payload_sha256


def check_not_behind(partition: Partition, archived: Ids, held: Collection[str]) -> None:
    """LedgerBehind where the archive has later captures of the partition than the ledger, which has those `held`."""
    of_partition = capture_id_for(partition.key, date.min, 1).rpartition(":")[0] + ":"
    lost = {one for one in archived.confirmed if one.startswith(of_partition)}.difference(held)
    later = [one for one in _read_in_order(lost) if one.version > partition.newest_version]
    if not later:
        return
    newest = Capture.objects.filter(partition=partition, version=partition.newest_version).first()
    since = newest.captured_at if newest else None
    lacking = [one.capture_id for one in later if since is None or one.captured_at >= since]
    if lacking:
        raise LedgerBehind(
            f"the archive has what the ledger lacks: {', '.join(lacking[:3])}. Was an older database restored? "
            f"`{manage_py()} restore_captures` restores it"
        )


def keep_positions(archived: Ids) -> None:
    """Raise the feed counter above what a ledger gave that is lost: the archive has captures that this one lacks.

    Called before each new capture, and before verdicts get their places, so it compares counts first: only if the archive
    knows of more captures than the ledger are their records read. Verdicts have places, too, and no record: so it leaves a
    gap above the last position that is known. Called again, it changes nothing.
    """
    if len(archived.confirmed) > Capture.objects.count() and (lost := unknown(archived.confirmed)):
        FeedCounter.objects.raise_to(_last_known(lost) + GAP)


def _last_known(lost: Collection[Record]) -> int:
    """The last position that is known of the ledger that made these captures; one that was only archived has none."""
    shared = Capture.objects.filter(captured_at__lt=max(record.captured_at for record in lost))
    last = shared.aggregate(last=Max("position"))["last"]
    return max(last or 0, *(record.position or 0 for record in lost))


def unknown(capture_ids: Collection[str]) -> list[Record]:
    """The records among these ids whose capture the ledger lacks, by week, tier and version."""
    known = Capture.objects.filter(capture_id__in=capture_ids).values_list("capture_id", flat=True)
    return _read_in_order(set(capture_ids).difference(known))


def _read_in_order(capture_ids: Iterable[str]) -> list[Record]:
    found = [record for capture_id in capture_ids if (record := read(capture_id))]
    return sorted(found, key=lambda record: (record.key, record.version))


@checkpoints("record.claim")
def claim(capture: Capture, kind: DataKind | None) -> None:
    """Write the claim of a capture that is about to be committed; `kind` is that of the ledger's data."""
    files.save(_path(capture.capture_id, CLAIMED), Record.of_capture(capture, kind).text())


@checkpoints("record.confirm")
def confirm(capture: Capture, kind: DataKind | None) -> None:
    """Write the record of a committed capture, in place of its claim."""
    files.save(_path(capture.capture_id, CONFIRMED), Record.of_capture(capture, kind).text())
    files.remove(_path(capture.capture_id, CLAIMED))


def confirm_all() -> None:
    """Write missing records of captures: their process died before, or the archive lost them."""
    known = ids().confirmed
    named = Capture.objects.values_list("pk", "capture_id")
    lacking = [pk for pk, capture_id in named if capture_id not in known]
    if lacking:
        kind = LedgerKind.objects.found()
        for capture in Capture.objects.filter(pk__in=lacking).select_related("partition"):
            confirm(capture, kind)


def _path(capture_id: str, kind: str) -> str:
    return f"{FOLDER}/{capture_id}{kind}"
