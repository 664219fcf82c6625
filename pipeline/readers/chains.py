"""The vintages of a partition as FINRA published them, without the doings of operators, parsers and accidents.

A vintage counts if the source published it and no operator annulled it; a forced one, once a check has confirmed it. One
that lost more rows than a restatement may, and that the former rows followed within two weeks, was an accident.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings

from pipeline.finra.calendar import PartitionKey, due_date
from pipeline.models import Capture, CaptureKind, Cause, Check, Partition, Seen
from pipeline.readers.looks import VERIFYING, age_of
from pipeline.readers.partitions import is_late_first

REVERTED_WITHIN = timedelta(days=14)
CONFIRMING = (Seen.UNMOVED, Seen.UNCHANGED)


class Exclusion(StrEnum):
    """Why a vintage does not count."""

    ANNULLED = "annulled"
    FORCED = "forced"
    PARSER = "parser"
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True)
class Chain:
    """The vintages of a partition that count, oldest first, the looks that verified them, and the `excluded` vintages."""

    key: PartitionKey
    vintages: tuple[Capture, ...]
    looks: tuple[datetime, ...]
    excluded: tuple[tuple[str, Exclusion], ...] = field(default=())

    @property
    def first(self) -> Capture:
        """The first vintage that counts."""
        return self.vintages[0]

    @property
    def is_late(self) -> bool:
        """Whether the first publication may have been missed: the capture came late, and has a date after the due date."""
        late = is_late_first(self.key, self.first.captured_at)
        newest = self.first.last_update_date
        return late and (newest is None or newest > due_date(self.key.tier, self.key.week_ending))

    @property
    def is_ours(self) -> bool:
        """Whether it holds a doing of ours that cannot be told from FINRA's."""
        return any(why in (Exclusion.PARSER, Exclusion.FORCED) for _, why in self.excluded)

    def at(self, days: int) -> Capture | None:
        """The newest vintage that was known at an age."""
        known = [one for one in self.vintages if one.normalized_at and age_of(self.key, one.normalized_at) <= days]
        return known[-1] if known else None

    def look_from(self, days: int) -> datetime | None:
        """The first look at an age or later that verified it."""
        return next((look for look in self.looks if age_of(self.key, look) >= days), None)


def chains_of(partitions: Collection[Partition]) -> list[Chain]:
    """The chains, by week and tier, of the partitions with a vintage that counts. Two queries."""
    captures: dict[int, list[Capture]] = {}
    every = Capture.objects.normalized().filter(partition__in=partitions).select_related("partition", "annulled_by")
    for capture in every.order_by("version"):
        captures.setdefault(capture.partition_id, []).append(capture)
    looks: dict[int, list[tuple[datetime, str]]] = {}
    verifying = Check.objects.filter(partition__in=partitions, outcome__in=VERIFYING).order_by("checked_at", "pk")
    for pk, checked_at, outcome in verifying.values_list("partition", "checked_at", "outcome"):
        looks.setdefault(pk, []).append((checked_at, outcome))
    found = [_chain(of_one, looks.get(pk, [])) for pk, of_one in captures.items()]
    return sorted((chain for chain in found if chain.vintages), key=lambda chain: chain.key)


def _chain(captures: Sequence[Capture], looks: Sequence[tuple[datetime, str]]) -> Chain:
    excluded = [(capture, why) for capture in captures if (why := _exclusion(capture, captures, looks)) is not None]
    left_out = {capture.pk for capture, _ in excluded}
    counted = tuple(capture for capture in captures if capture.pk not in left_out)
    names = tuple((capture.capture_id, why) for capture, why in excluded if _told(capture))
    seen = {look for look, _ in looks} | {capture.captured_at for capture in counted}
    return Chain(captures[0].partition.key, counted, tuple(sorted(seen)), names)


def _told(capture: Capture) -> bool:
    """Whether an excluded vintage is worth telling: a forced or parsed one with the same rows moves nothing."""
    return capture.version == 1 or capture.rows_touched > 0


def _exclusion(
    capture: Capture, captures: Sequence[Capture], looks: Sequence[tuple[datetime, str]]
) -> Exclusion | None:
    """Why a vintage does not count; None where it does."""
    if capture.kind == CaptureKind.ANNULMENT or getattr(capture, "annulled_by", None) is not None:
        return Exclusion.ANNULLED
    if capture.cause == Cause.PARSER:
        return Exclusion.PARSER
    after = next((one for one in captures if one.version > capture.version), None)
    if capture.cause == Cause.FORCED and not _is_confirmed(capture, after, looks):
        return Exclusion.FORCED
    before = [one for one in captures if one.version < capture.version]
    return Exclusion.REVERTED if before and after and _is_reverted(before[-1], capture, after) else None


def _is_confirmed(capture: Capture, after: Capture | None, looks: Sequence[tuple[datetime, str]]) -> bool:
    """Whether an unforced look found a forced vintage's rows before another vintage came."""
    until = after.captured_at if after else None
    return any(
        outcome in CONFIRMING and look > capture.captured_at and (until is None or look < until)
        for look, outcome in looks
    )


def _is_reverted(before: Capture, capture: Capture, after: Capture) -> bool:
    """Whether a vintage lost many rows, and the former rows soon followed it."""
    if before.content_hash != after.content_hash or after.captured_at - capture.captured_at > REVERTED_WITHIN:
        return False
    lost = 1 - capture.rows_kept / before.rows_kept if before.rows_kept else 0
    return lost > settings.MARKETSPINE_MAX_RESTATED_SHARE
