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

from pipeline.checkpoints import checkpoints
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture, DataKind, FeedCounter, LedgerKind, Partition, capture_id_for
from pipeline.models.data_kinds import manage_py
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
    def of_capture(cls, capture: Capture) -> Record:
        """The record of a capture in the ledger."""
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
            data_kind=LedgerKind.objects.found(),
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


def confirmed_ids() -> set[str]:
    """The ids of the captures with a confirmed record. ArchiveDamaged when the archive cannot be listed."""
    return _ids(archive.names(FOLDER), CONFIRMED)


def read(capture_id: str, kind: str = CONFIRMED) -> Record | None:
    """The record of an id; None where there is none, or where it cannot be read."""
    content = files.read(_path(capture_id, kind))
    try:
        return Record.read(content) if content is not None else None
    except (ValueError, KeyError, TypeError):
        return None


def next_id(partition: Partition, day: date, payload_sha256: str) -> str:
    """An id for a capture of the partition made on `day`: neither ledger nor archive has given it to other bytes.

    Until the partition is locked another process may take it: `is_free` tells.
    """
    names = archive.names(FOLDER)
    confirmed, claimed = _ids(names, CONFIRMED), _ids(names, CLAIMED)
    given = set(Capture.objects.filter(partition=partition, captured_on=day).values_list("capture_id", flat=True))
    nth = 1
    while True:
        wanted = capture_id_for(partition.key, day, nth)
        is_taken = wanted in given or wanted in confirmed
        if not is_taken and (wanted not in claimed or _is_of(wanted, payload_sha256)):
            return wanted
        nth += 1


def is_free(capture_id: str, payload_sha256: str) -> bool:
    """Whether an id from `next_id` is still free; asked under the partition's lock."""
    if Capture.objects.filter(capture_id=capture_id).exists() or files.read(_path(capture_id, CONFIRMED)) is not None:
        return False
    return files.read(_path(capture_id, CLAIMED)) is None or _is_of(capture_id, payload_sha256)


def _is_of(capture_id: str, payload_sha256: str) -> bool:
    """Whether the id's claim is of the same bytes: then its capture ended before the commit."""
    claim = read(capture_id, CLAIMED)
    return claim is not None and claim.payload_sha256 == payload_sha256


def check_not_behind(partition: Partition, confirmed: Collection[str]) -> None:
    """LedgerBehind where the `confirmed` ids have later captures of the partition than the ledger."""
    of_partition = capture_id_for(partition.key, date.min, 1).rpartition(":")[0] + ":"
    ids = {capture_id for capture_id in confirmed if capture_id.startswith(of_partition)}
    later = [one for one in unknown(ids) if one.version > partition.newest_version]
    if not later:
        return
    held = Capture.objects.filter(partition=partition, version=partition.newest_version).first()
    since = held.captured_at if held else None
    lacking = [one.capture_id for one in later if since is None or one.captured_at >= since]
    if lacking:
        raise LedgerBehind(
            f"the archive has what the ledger lacks: {', '.join(lacking[:3])}. Was an older database restored? "
            f"`{manage_py()} restore_captures` restores it"
        )


def keep_positions(confirmed: Collection[str]) -> None:
    """Raise the feed counter above the positions of captures that the ledger has lost: none is given twice.

    `confirmed` are the ids that the archive knows. Each new capture calls this, so it compares counts first: only if the
    archive knows of more captures than the ledger are their records read.
    """
    if len(confirmed) > Capture.objects.count():
        FeedCounter.objects.raise_to(max((record.position or 0 for record in unknown(confirmed)), default=0))


def unknown(capture_ids: Iterable[str]) -> list[Record]:
    """The records among these ids whose capture the ledger lacks, by week, tier and version."""
    ids = set(capture_ids)
    known = set(Capture.objects.filter(capture_id__in=ids).values_list("capture_id", flat=True))
    found = [record for capture_id in ids - known if (record := read(capture_id))]
    return sorted(found, key=lambda record: (record.key, record.version))


@checkpoints("record.claim")
def claim(capture: Capture) -> None:
    """Write the claim of a capture that is about to be committed."""
    files.save(_path(capture.capture_id, CLAIMED), Record.of_capture(capture).text())


@checkpoints("record.confirm")
def confirm(capture: Capture) -> None:
    """Write the record of a committed capture, in place of its claim."""
    files.save(_path(capture.capture_id, CONFIRMED), Record.of_capture(capture).text())
    files.remove(_path(capture.capture_id, CLAIMED))


def confirm_all() -> None:
    """Write missing records of captures: their process died before, or the archive lost them."""
    known = confirmed_ids()
    named = Capture.objects.values_list("pk", "capture_id")
    lacking = [pk for pk, capture_id in named if capture_id not in known]
    for capture in Capture.objects.filter(pk__in=lacking).select_related("partition"):
        confirm(capture)


def _ids(names: Iterable[str], kind: str) -> set[str]:
    return {name.removesuffix(kind) for name in names if name.endswith(kind)}


def _path(capture_id: str, kind: str) -> str:
    return f"{FOLDER}/{capture_id}{kind}"
