"""Proving that the settings' database and archive are what a backup's manifest says. Reads only.

Counts and sums are compared with the manifest, payloads are read again, an as-of question is answered, and a snapshot is
computed again, to the bit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

from pipeline.finra import rows
from pipeline.keeping import manifest
from pipeline.keeping.manifest import Contents, Manifest
from pipeline.models import AnalyticsSnapshot, Capture
from pipeline.vintages import archive, payloads, read
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.read import NoSuchVintage
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import analytics

PAYLOADS = 20
DAMAGE = (ArchiveDamaged, VintageDamaged, NoSuchVintage, OSError)


@dataclass(frozen=True, slots=True)
class Proved:
    """One thing that was checked, and whether it is as it should be."""

    what: str
    passed: bool

    def stored(self) -> dict[str, object]:
        """For a report."""
        return asdict(self)


def prove(of: Manifest, seed: int) -> Iterator[Proved]:
    """The checks, one after the other. `seed` draws the payloads, the capture and the snapshot that are read."""
    yield from same_contents(of.contents, manifest.contents())
    draw = random.Random(seed)  # noqa: S311 - a sample, no secret
    captures = _readable(of)
    for capture in draw.sample(captures, k=min(PAYLOADS, len(captures))):
        yield _proved(f"the payload of {capture} reads as its rows", partial(_reads_again, capture))
    if captures:
        capture = draw.choice(captures)
        told = f"as of {capture.normalized_at:%Y-%m-%d %H:%M:%S} UTC {capture.partition} has the rows of {capture}"
        yield _proved(told, partial(_answers_as_of, capture))
    snapshots = _computable()
    if snapshots:
        snapshot = draw.choice(snapshots)
        yield _proved(f"{snapshot} computes to the same figures", partial(analytics.is_reproduced, snapshot))


def same_contents(expected: Contents, found: Contents) -> Iterator[Proved]:
    """Compare migrations, rows per table, and sums per tier. A ledger without a capture fails: it would prove nothing."""
    yield Proved(f"{len(expected.migrations)} migrations are applied", expected.migrations == found.migrations)
    yield same_tables(expected.tables, found.tables)
    for of_tier in expected.totals:
        told = f"{of_tier.tier}: {of_tier.captures:,} captures, {of_tier.rows:,} rows, {of_tier.shares} shares"
        yield Proved(f"{told}, {of_tier.trades:,} trades", of_tier in found.totals)
    yield Proved("there is a capture", any(of_tier.captures for of_tier in found.totals))


def same_tables(expected: dict[str, int], found: dict[str, int]) -> Proved:
    """Whether the same tables are there with the same numbers of rows."""
    differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    named = f"; not so in {', '.join(differing)}" if differing else ""
    return Proved(f"{len(expected)} tables have {sum(expected.values()):,} rows in all{named}", not differing)


def _readable(of: Manifest) -> list[Capture]:
    """The captures whose payload and vintage file the backup has."""
    stored = Capture.objects.normalized().filter(pruned_at__isnull=True).select_related("partition")
    missing = set(of.missing)
    return [
        capture
        for capture in stored.order_by("pk")
        if not missing & {capture.vintage_path, archive.path_of(capture.payload_sha256)}
    ]


def _computable() -> list[AnalyticsSnapshot]:
    """The snapshots of this version of the calculation whose captures all have their rows."""
    pruned = AnalyticsSnapshot.objects.filter(inputs__pruned_at__isnull=False).values("pk")
    same = AnalyticsSnapshot.objects.filter(calculation_version=analytics.CALCULATION_VERSION)
    return list(same.exclude(pk__in=pruned).order_by("pk"))


def _proved(what: str, is_so: Callable[[], bool]) -> Proved:
    try:
        return Proved(what, is_so())
    except DAMAGE as error:
        return Proved(f"{what}: {error}", passed=False)


def _reads_again(capture: Capture) -> bool:
    return payloads.read_archived(capture).content_hash == capture.content_hash


def _answers_as_of(capture: Capture) -> bool:
    if capture.normalized_at is None:
        return False
    with read.naming_damage([capture]):
        answer = read.as_of(capture.normalized_at, [capture.partition.key]).collect()
    return rows.content_hash(answer) == capture.content_hash
