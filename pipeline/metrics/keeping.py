"""Storage: the archive by the ledger, the database, and the volumes of this machine. No bucket is listed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Sum

from pipeline.integrity import losses
from pipeline.metrics.samples import Sample, instant, sample
from pipeline.models import Capture, FileCheck
from pipeline.vintages import holdings
from pipeline.vintages.holdings import FileKind

SHELVES = {FileKind.PAYLOAD: "payloads", FileKind.VINTAGE: "vintages"}


def read(_now: datetime) -> Iterator[Sample]:
    """Sizes, numbers of files, and free space."""
    yield from _archive()
    yield sample("database_size_bytes", _database_size())
    for volume, folder in _volumes().items():
        with suppress(OSError):
            usage = shutil.disk_usage(folder)
            yield sample("volume_size_bytes", usage.total, volume=volume)
            yield sample("volume_free_bytes", usage.free, volume=volume)


def _archive() -> Iterator[Sample]:
    kept = Capture.objects.filter(pruned_at__isnull=True)
    payloads = kept.aggregate(bytes=Sum("payload_bytes", default=0), files=Count("payload_sha256", distinct=True))
    vintages = kept.normalized().aggregate(
        bytes=Sum("vintage_bytes", default=0), files=Count("vintage_path", distinct=True)
    )
    lost = losses.unaccepted(holdings.recorded())
    for kind, found in ((FileKind.PAYLOAD, payloads), (FileKind.VINTAGE, vintages)):
        shelf = SHELVES[kind]
        yield sample("archive_bytes", found["bytes"], shelf=shelf)
        yield sample("archive_files", found["files"], shelf=shelf)
        damaged = {one.needed.sha256 for one in lost if one.needed.kind is kind}
        yield sample("archive_damaged_files", len(damaged), shelf=shelf)
    read_at = FileCheck.objects.aggregate(newest=Max("read_at"))["newest"]
    yield from instant("archive_verified_timestamp_seconds", read_at)


def _database_size() -> int:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    path = Path(connection.settings_dict["NAME"])
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*") if file.is_file())


def _volumes() -> dict[str, Path]:
    """The volumes that captures need room on."""
    found = {"archive": Path(settings.MARKETSPINE_ARCHIVE_DIR)}
    if connection.vendor == "sqlite":
        found["database"] = Path(connection.settings_dict["NAME"]).parent
    return found
