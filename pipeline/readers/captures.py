"""Every vintage of every partition: the time and reason of its capture, and its difference from the one before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from pipeline.finra.calendar import week_start_of
from pipeline.models import Capture, CaptureKind, Cause, Partition
from pipeline.models.capture import CaptureQuerySet
from pipeline.readers.chosen import keys_of, require_capture
from pipeline.readers.datasets.ledger import CAPTURES
from pipeline.readers.keywords import WeeksAsked
from pipeline.readers.meta import head
from pipeline.readers.parameters import answering
from pipeline.readers.positions import reached
from pipeline.readers.questions import Weeks, question_of
from pipeline.readers.result import Result
from pipeline.readers.table import ledger_table
from pipeline.readers.values import choices


class CapturesAsked(WeeksAsked, total=False):
    """Filters of captures: weeks and tiers, kind, cause, or behind a position of the feed."""

    capture: str
    kind: str | list[str]
    cause: str | list[str]
    after: int | str


@answering
def captures(**asked: Unpack[CapturesAsked]) -> Result:
    """The captures of the weeks asked for, or of all."""
    found = _asked_for(asked)
    chain = _chain(found)
    rows = [_row(one, chain) for one in found.select_related("partition", "annuls", "annulled_by")]
    return Result(CAPTURES, head(CAPTURES.name, None, rows), (), ledger_table(CAPTURES, rows))


def _asked_for(asked: CapturesAsked) -> CaptureQuerySet:
    kinds = choices("kind", asked.get("kind"), CaptureKind)
    causes = choices("cause", asked.get("cause"), Cause)
    question = question_of(asked)
    found = Capture.objects.filter(partition__tier__in=question.tiers)
    if question.selector.capture:
        require_capture(question.selector.capture)
        found = found.filter(capture_id=question.selector.capture)
    if question.weeks != Weeks():
        found = found.filter(partition__in=Partition.objects.for_keys(keys_of(question)))
    if kinds:
        found = found.filter(kind__in=kinds)
    if causes:
        found = found.filter(cause__in=causes)
    if asked.get("after") is not None:
        found = found.filter(position__gt=reached("after", asked["after"]))
    return found


def _chain(found: CaptureQuerySet) -> Mapping[int, tuple[Capture | None, Capture | None]]:
    """For each capture, the vintages before and after it whose rows are stored."""
    of_partitions: dict[int, list[Capture]] = {}
    every = Capture.objects.filter(partition__in=found.order_by().values("partition")).order_by("partition", "version")
    for capture in every.only("pk", "partition_id", "version", "capture_id", "normalized_at"):
        of_partitions.setdefault(capture.partition_id, []).append(capture)
    chain: dict[int, tuple[Capture | None, Capture | None]] = {}
    for of_one in of_partitions.values():
        for place, capture in enumerate(of_one):
            before = [one for one in of_one[:place] if one.normalized_at]
            after = [one for one in of_one[place + 1 :] if one.normalized_at]
            chain[capture.pk] = (before[-1] if before else None, after[0] if after else None)
    return chain


def _row(one: Capture, chain: Mapping[int, tuple[Capture | None, Capture | None]]) -> tuple[Any, ...]:
    before, after = chain[one.pk]
    annulment = getattr(one, "annulled_by", None)
    return (
        one.capture_id,
        one.partition.week_ending,
        week_start_of(one.partition.week_ending),
        one.partition.tier,
        one.version,
        one.kind,
        one.cause,
        one.reason,
        one.captured_at,
        one.normalized_at,
        after.normalized_at if after and one.normalized_at else None,
        one.position,
        one.rows_kept,
        one.rows_rejected,
        one.shares,
        one.trades,
        one.content_hash,
        one.payload_sha256,
        one.rows_added,
        one.rows_changed,
        one.rows_removed,
        one.rows_unchanged,
        before.capture_id if before else None,
        one.partition.latest_id == one.pk,
        one.pruned_at is not None,
        one.annuls.capture_id if one.annuls else None,
        annulment.capture_id if annulment else None,
        annulment.request_reason if annulment else None,
    )
