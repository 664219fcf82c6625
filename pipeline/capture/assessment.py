"""The plausibility of a payload before it is captured, and of a capture beside its neighbours, by the ledger.

The rules are in `pipeline.capture.plausibility`. This module reads what they compare with: the current capture, the weeks
around it, and every other captured week of the tier.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
from django.conf import settings
from django.db import connection, models, transaction
from django.utils import timezone

from pipeline.capture import current, endings, likeness, plausibility
from pipeline.capture.likeness import Sketch
from pipeline.capture.plausibility import Again, Bounds, Limits, Offer, Refusal, Size, Sizes
from pipeline.capture.vintage import Vintage
from pipeline.finra.calendar import WEEKS_OF_A_QUARTER, PartitionKey, Tier
from pipeline.finra.payloads import PartName, Payload, unpack
from pipeline.finra.sources.files.file_names import file_name
from pipeline.models import (
    Anomaly,
    Capture,
    CaptureKind,
    Category,
    Partition,
    PartitionSketch,
    Readiness,
    Run,
    Severity,
    Stage,
)
from pipeline.models.anomaly import MARKETSPINE
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.compare import Changes

NEIGHBOURS = 8
AROUND = timedelta(weeks=WEEKS_OF_A_QUARTER)  # a market of years ago is no neighbour
SURVEY_LOCK, TIER_LOCK = 7_401, 7_402  # any numbers that no other lock of the database has; one for each tier


def limits() -> Limits:
    """The thresholds of the settings."""
    return Limits(
        same_share=settings.MARKETSPINE_MAX_SAME_SHARE,
        restated_share=settings.MARKETSPINE_MAX_RESTATED_SHARE,
        rows=Bounds(*settings.MARKETSPINE_PLAUSIBLE_ROWS),
        shares=Bounds(*settings.MARKETSPINE_PLAUSIBLE_SHARES),
        parts=frozenset(PARTS[name] for name in settings.MARKETSPINE_EXPECTED_PARTS),
    )


PARTS = {"ats": PartName.ATS, "non-ats": PartName.NON_ATS}


def refusal(
    key: PartitionKey, payload: Payload, offered: Vintage, sketch: Sketch, held: Capture | None
) -> Refusal | None:
    """Why a payload is not to be captured; None when nothing speaks against it. `sketch` is that of its rows."""
    content, allowed = offered.content, limits()
    offer = Offer(key, content, files_of(payload.uri) if content.parts else ())
    return (
        plausibility.no_rows(offer)
        or _annulled_before(key, content.content_hash)
        or plausibility.truncated(offer)
        or plausibility.part_missing(offer, _expected(key, held, allowed))
        or (plausibility.dates_of_another_week(offer, allowed.restated_share) if held is None else None)
        or plausibility.week_again(offer, _suspects(key, offered, sketch, allowed.same_share), allowed.same_share)
        or _restates_too_much(offer, offered, allowed)
    )


def _annulled_before(key: PartitionKey, content_hash: str) -> Refusal | None:
    """Why rows that an operator took back are not captured again; none of others, and of those that were forced since."""
    same = Capture.objects.of_partition(key).filter(content_hash=content_hash)
    newest = same.exclude(kind=CaptureKind.ANNULMENT).order_by("-version").first()
    annulment = newest.annulment if newest else None
    if annulment is None:
        return None
    return Refusal(
        f"these are the rows of {newest}, which {annulment.requested_by} annulled on {annulment.captured_on}: "
        f'"{annulment.request_reason}". Force takes them'
    )


def refusal_of_reading(key: PartitionKey, reading: Vintage) -> Refusal | None:
    """Why a new reading of a payload that is captured is not to replace the earlier one."""
    offer = Offer(key, reading.content, ())
    return plausibility.no_rows(offer) or _restates_too_much(offer, reading, limits())


def file_of(key: PartitionKey, payload: Payload, part: PartName) -> str:
    """The file of a part of a payload, as the operator has it."""
    parts = [each.name for each in unpack(payload.content, payload.format)]
    files = files_of(payload.uri)
    return files[parts.index(part)] if part in parts and len(parts) == len(files) else file_name(key, part)


def files_of(uri: str) -> tuple[str, ...]:
    """The names of the files that a payload was made of."""
    return tuple(uri.partition(":")[2].split("+"))


def _restates_too_much(offer: Offer, offered: Vintage, allowed: Limits) -> Refusal | None:
    if offered.base is None or offered.comparable is None:
        return None
    changes = plausibility.changes_by_kind(offered.comparable, sizes_of(offered.base))
    return plausibility.restates_too_much(offer, changes, allowed.restated_share)


def _expected(key: PartitionKey, held: Capture | None, allowed: Limits) -> dict[PartName, str]:
    """The halves that a payload must have, each with the reason."""
    expected = dict.fromkeys(allowed.parts, "MARKETSPINE_EXPECTED_PARTS asks for them")
    if held is not None:
        return expected | dict.fromkeys(sizes_of(held), f"version {held.version} has them")
    around = neighbours(key.week_ending, _captured_around(key.tier, key.week_ending, AROUND))
    weeks = ", ".join(map(str, sorted(around)))
    return expected | dict.fromkeys(
        plausibility.most_have(list(around.values())) if around else [], f"the weeks around it have them ({weeks})"
    )


def sizes_of(capture: Capture) -> Sizes:
    """How much of each kind a capture holds."""
    shares, non_ats = Decimal(capture.shares or 0), Decimal(capture.shares_non_ats or 0)
    found = {
        PartName.ATS: Size(capture.rows_kept - capture.rows_non_ats, shares - non_ats),
        PartName.NON_ATS: Size(capture.rows_non_ats, non_ats),
    }
    return {part: size for part, size in found.items() if size.rows}


def _captured_around(tier: Tier, week_ending: date, reach: timedelta) -> dict[date, Capture]:
    """The captured partitions of the tier near a week, itself included, by their weeks."""
    weeks = (week_ending - reach, week_ending + reach)
    newest = Capture.objects.newest().filter(partition__tier=tier, partition__week_ending__range=weeks)
    return {capture.partition.week_ending: capture for capture in newest.select_related("partition")}


def neighbours(week_ending: date, captured: Mapping[date, Capture]) -> dict[date, Sizes]:
    """The captured weeks that are nearest to a week: at most eight, within a quarter."""
    near = [week for week in captured if week != week_ending and abs(week - week_ending) <= AROUND]
    nearest = sorted(near, key=lambda week: (abs(week - week_ending), week))[:NEIGHBOURS]
    return {week: sizes_of(captured[week]) for week in nearest}


def _suspects(key: PartitionKey, offered: Vintage, own: Sketch, limit: float) -> Iterator[Again]:
    """The captured weeks that the rows may be of, with how many are the same there and are not held here already."""
    changes, frame = offered.comparable, offered.content.frame
    fresh = frame.height if changes is None else changes.added + changes.changed
    if fresh < limit * frame.height:
        return
    others = PartitionSketch.objects.filter(partition__tier=key.tier).select_related("partition")
    for stored in others.exclude(partition__week_ending=key.week_ending):
        if likeness.share_in(own, _unpacked(stored)) >= limit / 2:
            same = _same_rows(_likeness_of_new(frame, changes), stored.partition)
            if same is not None:
                yield Again(stored.partition.week_ending, same)


def _likeness_of_new(frame: pl.DataFrame, changes: Changes | None) -> pl.Series:
    """The likeness of each row that is not held: of all where nothing is."""
    return likeness.of_rows(frame) if changes is None else likeness.of_new_rows(changes.rows)


def _same_rows(fresh: pl.Series, partition: Partition) -> int | None:
    """How many of the rows the newest capture of another partition has; None where its rows are lost."""
    newest = Capture.objects.newest().select_related("partition").get(partition=partition)
    with suppress(ArchiveDamaged):
        return likeness.same(fresh, likeness.of_rows(current.frame_of(newest)))
    return None


def newest_of_other_weeks(key: PartitionKey) -> models.QuerySet[Capture, int]:
    """The newest captures of the tier's other weeks."""
    others = Capture.objects.newest().filter(partition__tier=key.tier)
    return others.exclude(partition__week_ending=key.week_ending).values_list("pk", flat=True)


def is_another_week_by_now(partition: Partition, seen: Collection[int]) -> bool:
    """Whether the capture that is being made may be of a week that another process captured since the decision.

    Before the commit, one process at a time for a tier: of two that capture the same rows at once the second notices.
    """
    _one_at_a_time(TIER_LOCK + list(Tier).index(partition.key.tier))
    limit = settings.MARKETSPINE_MAX_SAME_SHARE
    own = PartitionSketch.objects.get(partition=partition)
    unseen = Capture.objects.filter(pk__in=newest_of_other_weeks(partition.key)).exclude(pk__in=seen)
    sketches = PartitionSketch.objects.filter(partition__captures__in=unseen)
    return any(likeness.share_in(_unpacked(own), _unpacked(other)) >= limit / 2 for other in sketches)


def _unpacked(stored: PartitionSketch) -> Sketch:
    return Sketch.unpacked(bytes(stored.hashes), stored.ceiling)


def _one_at_a_time(lock: int) -> None:
    """Hold a lock until the transaction ends. SQLite lets one transaction write at a time anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])


def keep_sketch(partition: Partition, sketch: Sketch) -> None:
    """Write the sketch of the capture that is being made."""
    kept = PartitionSketch(partition=partition, hashes=sketch.packed(), ceiling=sketch.ceiling)
    PartitionSketch.objects.bulk_create(
        [kept], update_conflicts=True, unique_fields=["partition"], update_fields=["hashes", "ceiling"]
    )


def survey(week_ending: date, run: Run | None) -> list[date]:
    """Compare a week, and the weeks around it, with their neighbours; which other weeks have to be judged again.

    A capture far from its neighbours' median has an IMPLAUSIBLE anomaly. It ends by itself when more neighbours show that
    it was not the odd one, and is not raised again once a person has resolved it: the order of capture changes nothing.
    """
    with transaction.atomic():
        _one_at_a_time(SURVEY_LOCK)
        for tier in Tier:
            _survey_tier(tier, week_ending, run)
    return _moved_weeks(week_ending)


def _survey_tier(tier: Tier, week_ending: date, run: Run | None) -> None:
    captured, allowed = _captured_around(tier, week_ending, 2 * AROUND), limits()
    anomalies = Anomaly.objects.filter(category=Category.IMPLAUSIBLE, partition__tier=tier)
    open_ = {anomaly.partition_id: anomaly for anomaly in anomalies.open()}
    for week, capture in captured.items():
        if abs(week - week_ending) > AROUND:
            continue
        around = neighbours(week, captured)
        far = plausibility.far_from_neighbours(week, sizes_of(capture), around, allowed) if around else []
        anomaly = open_.get(capture.partition_id)
        if far and anomaly is None and not _is_accepted(capture):
            _raise(capture, far, sorted(around), run)
        elif not far and anomaly is not None:
            endings.resembles_its_neighbours(anomaly, capture, run)


def _raise(capture: Capture, far: list[str], around: list[date], run: Run | None) -> None:
    weeks = f"{around[0]} to {around[-1]}" if len(around) > 1 else f"{around[0]}"
    message = (
        f"{capture} is unlike the weeks around it ({len(around)}, {weeks}): {'; '.join(far)}. If the week was so, resolve "
        "this with a note; otherwise bring the right files and force them"
    )
    Anomaly.objects.record(
        Category.IMPLAUSIBLE, Severity.ERROR, message, partition=capture.partition, stage=Stage.NORMALIZED, run=run
    )


def _is_accepted(capture: Capture) -> bool:
    """Whether a person has resolved it since the partition was captured anew; restatements leave that standing."""
    anew = Capture.objects.filter(partition=capture.partition, kind__in=(CaptureKind.FIRST, CaptureKind.FORCED))
    since = anew.order_by("-version").values_list("captured_at", flat=True).first()
    resolved = Anomaly.objects.filter(partition=capture.partition, category=Category.IMPLAUSIBLE)
    resolved = resolved.filter(resolved_at__gte=since or timezone.now())
    return resolved.exclude(resolved_by=MARKETSPINE).exists()


def _moved_weeks(week_ending: date) -> list[date]:
    """The other weeks around whose verdict is older than what has been said of their plausibility."""
    reach = (week_ending - AROUND, week_ending + AROUND)
    said: dict[date, datetime] = {}
    anomalies = Anomaly.objects.filter(category=Category.IMPLAUSIBLE, partition__week_ending__range=reach)
    for week, seen, resolved in anomalies.values_list("partition__week_ending", "first_seen_at", "resolved_at"):
        said[week] = max(said.get(week, seen), resolved or seen)
    decided = dict(Readiness.objects.filter(week_ending__in=said).values_list("week_ending", "decided_at"))
    return sorted(week for week in decided if week != week_ending and said[week] > decided[week])
