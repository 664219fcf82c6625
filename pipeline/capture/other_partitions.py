"""The captured partitions that rows may be of in truth: other weeks of the tier, and other tiers of the weeks around.

Of each partition's newest capture the ledger keeps a sketch (`pipeline.capture.likeness`). A half of a publication, the ATS
or the non-ATS, may be another's while the other is not: each is looked for by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

import polars as pl
from django.conf import settings
from django.db import models
from django.db.models import Q

from pipeline.capture import current, likeness
from pipeline.capture.likeness import Sketch, Sketches
from pipeline.capture.plausibility import VENUE_KINDS, Again
from pipeline.capture.surroundings import AROUND
from pipeline.capture.vintage import Vintage
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.rows import ATS, NON_ATS
from pipeline.models import Capture, Partition, PartitionSketch
from pipeline.vintages.archive import ArchiveDamaged


def with_the_same(key: PartitionKey, offered: Vintage, own: Sketches, limit: float) -> Iterator[Again]:
    """The partitions that the rows may be of, with how many are the same there and are not held here already."""
    fresh, rows = _number_of_fresh(offered), _number_of_rows(offered)
    doubtful = [sketch for kind, sketch in own.of_kinds.items() if fresh.get(kind, 0) >= limit * rows[kind]]
    if not doubtful:
        return
    for stored in PartitionSketch.objects.filter(_others(key)).select_related("partition"):
        if _may_be_of(doubtful, stored, limit):
            same = _same_rows(_fresh(offered), stored.partition)
            if same is not None:
                yield Again(stored.partition.key, {part: same.get(kind, 0) for part, kind in VENUE_KINDS.items()})


def newest_of_others(key: PartitionKey) -> models.QuerySet[Capture, int]:
    """The newest captures of the partitions that a payload is compared with."""
    return Capture.objects.newest().filter(_others(key)).order_by().values_list("pk", flat=True)


def is_another_by_now(key: PartitionKey, own: Sketches, seen: Collection[int]) -> bool:
    """Whether the capture that is being made may be of a partition that another process captured since the decision.

    Asked while this process holds the feed's counter: of two that capture the same rows at once the second notices.
    """
    unseen = Capture.objects.filter(pk__in=newest_of_others(key)).exclude(pk__in=seen)
    stored = PartitionSketch.objects.filter(partition__captures__in=unseen)
    return any(_may_be_of(own.of_kinds.values(), other, settings.MARKETSPINE_MAX_SAME_SHARE) for other in stored)


def keep_sketch(partition: Partition, sketch: Sketch) -> None:
    """Write the sketch of the capture that is being made."""
    kept = PartitionSketch(partition=partition, hashes=sketch.packed(), ceiling=sketch.ceiling)
    PartitionSketch.objects.bulk_create(
        [kept], update_conflicts=True, unique_fields=["partition"], update_fields=["hashes", "ceiling"]
    )


def _others(key: PartitionKey) -> Q:
    near = Q(partition__week_ending__range=(key.week_ending - AROUND, key.week_ending + AROUND))
    return (Q(partition__tier=key.tier) | near) & ~Q(partition__week_ending=key.week_ending, partition__tier=key.tier)


def _fresh(offered: Vintage) -> pl.DataFrame:
    """The likeness of each row that is not held: of all where nothing is."""
    changes = offered.comparable
    return likeness.of_rows(offered.content.frame) if changes is None else likeness.of_new_rows(changes.rows)


def _number_of_rows(offered: Vintage) -> dict[str, int]:
    non_ats = offered.content.rows_non_ats
    return {ATS: offered.content.rows_kept - non_ats, NON_ATS: non_ats}


def _number_of_fresh(offered: Vintage) -> dict[str, int]:
    """How many rows of each kind are not held: their texts are written only where a partition may have them."""
    changes = offered.comparable
    if changes is None:
        return _number_of_rows(offered)
    new = changes.rows.filter(pl.col("after_shares").is_not_null())
    return dict(new.group_by("venue_kind").len().iter_rows())


def _may_be_of(sketches: Collection[Sketch], stored: PartitionSketch, limit: float) -> bool:
    other = Sketch.unpacked(bytes(stored.hashes), stored.ceiling)
    return any(likeness.may_share(sketch, other, limit) for sketch in sketches)


def _same_rows(fresh: pl.DataFrame, partition: Partition) -> dict[str, int] | None:
    """How many rows of each kind the newest capture of another partition has; None where its rows are lost."""
    newest = Capture.objects.newest().select_related("partition").get(partition=partition)
    with suppress(ArchiveDamaged):
        return likeness.same(fresh, likeness.of_rows(current.frame_of(newest)))
    return None
