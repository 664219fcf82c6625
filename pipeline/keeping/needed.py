"""The files that a ledger names: a backup keeps them with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Q

from pipeline.models import AnalyticsSnapshot, Anomaly, Capture, Category
from pipeline.models.pruning import IN_WINDOW
from pipeline.vintages import archive, records


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file of the archive. `sha256` is the hash of its bytes where the ledger has it; `payload` that of its payload.

    A file that is not `is_needed` is kept if it is there: a refused payload, or one whose loss an operator accepted.
    """

    path: str
    sha256: str = ""
    payload: str = ""
    is_needed: bool = True


def files() -> list[Wanted]:
    """All files, each path once: from the ledger, and from the list of records in the archive. ArchiveDamaged."""
    found = {wanted.path: wanted for wanted in (*_refused(), *_payloads(), *_vintages(), *_symbols(), *_records())}
    return [found[path] for path in sorted(found)]


def _payloads() -> Iterator[Wanted]:
    hashes = Capture.objects.with_payload().order_by().values_list("payload_sha256", flat=True).distinct()
    accepted = _accepted()
    return (Wanted(archive.path_of(one), payload=one, is_needed=one not in accepted) for one in hashes)


def _accepted() -> set[str]:
    """The hashes of files whose loss a person has accepted."""
    resolved = Anomaly.objects.filter(category=Category.ARCHIVE_DAMAGED, resolved_at__isnull=False)
    return set(resolved.values_list("payload_sha256", flat=True))


def _vintages() -> Iterator[Wanted]:
    """The vintage files, also those marked for removal: an undo after a restoration needs them."""
    held = Q(pruned_at__isnull=True) | Q(prune_entries__state__in=IN_WINDOW)
    captures = Capture.objects.normalized().filter(held).order_by().distinct()
    accepted = _accepted()
    for path, sha256 in captures.values_list("vintage_path", "vintage_sha256"):
        yield Wanted(path, sha256, is_needed=sha256 not in accepted)


def _symbols() -> Iterator[Wanted]:
    for path, sha256 in AnalyticsSnapshot.objects.order_by().values_list("symbols_path", "symbols_sha256"):
        yield Wanted(path, sha256)


def _refused() -> Iterator[Wanted]:
    """The payloads of anomalies: a refused payload can still be forced."""
    hashes = Anomaly.objects.exclude(payload_sha256="").order_by().values_list("payload_sha256", flat=True)
    return (Wanted(archive.path_of(one), payload=one, is_needed=False) for one in hashes.distinct())


def _records() -> Iterator[Wanted]:
    return (Wanted(f"{records.FOLDER}/{name}", is_needed=False) for name in archive.names(records.FOLDER))
