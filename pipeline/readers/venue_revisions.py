"""What became of a venue's figures after they were first published, and the names that it has had: from the snapshots."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any, Unpack

import polars as pl
from django.db.models import Max, Min, Q

from pipeline.finra.calendar import Tier
from pipeline.models import AnalyticsSnapshot, Capture, VenueVolume
from pipeline.readers.chosen import keys_of
from pipeline.readers.datasets.restatements import VENUE_REVISIONS
from pipeline.readers.datasets.venues import VENUE_NAMES
from pipeline.readers.keywords import Asked
from pipeline.readers.questions import Question, question_of
from pipeline.readers.selectors import SelectorKind
from pipeline.readers.table import frame_of

Volume = tuple[Any, Any, Any]  # shares, share, rank
ABSENT: Volume = (None, None, None)
Vintages = Mapping[str, Capture]  # of a snapshot, by tier


def venue_revisions(**asked: Unpack[Asked]) -> pl.DataFrame:
    """The captures of some weeks by which a venue's volume, share or rank in a tier became another one, the newest first.

    Those that were known at the instant asked for. Three queries.
    """
    question = question_of(asked)
    weeks = {key.week_ending for key in keys_of(question)}
    snapshots = AnalyticsSnapshot.objects.filter(week_ending__in=weeks).order_by("week_ending", "sequence")
    chain = list(snapshots.prefetch_related("inputs__partition"))
    volumes = _volumes(question, chain)
    rows = [row for before, after in pairwise(chain) for row in _moved(question, before, after, volumes)]
    return frame_of(VENUE_REVISIONS, rows).sort("known_from", "tier", descending=[True, False])


def venue_names(**asked: Unpack[Asked]) -> pl.DataFrame:
    """The names of a venue in all captured weeks, by the first week of each. One query."""
    named = VenueVolume.objects.filter(_is_venue(question_of(asked))).order_by().values_list("venue_name")
    spans = named.annotate(Min("snapshot__week_ending"), Max("snapshot__week_ending"))
    return frame_of(VENUE_NAMES, spans).sort("first_week", "venue_name")


def _is_venue(question: Question) -> Q:
    """That a stored volume is of the venue that is asked for."""
    venue, found = question.venue, Q()
    if venue.mpids:
        found &= Q(mpid__in=venue.mpids)
    if venue.crd is not None:
        found &= Q(crd=venue.crd)
    return found & Q(venue_name=venue.name) if venue.name is not None else found


def _volumes(question: Question, snapshots: Collection[AnalyticsSnapshot]) -> Mapping[tuple[int, str], Volume]:
    """The venue's volume, share and rank, by snapshot and tier."""
    of_venue = VenueVolume.objects.filter(_is_venue(question), snapshot__in=snapshots, scope__in=list(Tier))
    found = of_venue.values_list("snapshot", "scope", "shares", "share", "rank")
    return {(snapshot, scope): (shares, share, rank) for snapshot, scope, shares, share, rank in found}


def _moved(
    question: Question,
    before: AnalyticsSnapshot,
    after: AnalyticsSnapshot,
    volumes: Mapping[tuple[int, str], Volume],
) -> Iterator[tuple[Any, ...]]:
    """What the captures that a snapshot has in the place of others made of the venue's volume."""
    if before.week_ending != after.week_ending:
        return
    were, are = _vintages(before), _vintages(after)
    for tier in question.tiers:
        was, now = were.get(tier.value), are.get(tier.value)
        volume, other = (volumes.get((one.pk, tier.value), ABSENT) for one in (before, after))
        if was and now and was.version < now.version and volume != other and _is_known(question, now):
            sides = (side for pair in zip(volume, other, strict=True) for side in pair)
            yield (now.normalized_at, after.week_ending, tier.value, now.capture_id, now.cause, *sides)


def _vintages(snapshot: AnalyticsSnapshot) -> Vintages:
    return {capture.partition.tier: capture for capture in snapshot.inputs.all()}


def _is_known(question: Question, capture: Capture) -> bool:
    """Whether a capture was known at the instant that is asked for."""
    selector = question.selector
    if selector.kind is not SelectorKind.AS_OF or selector.as_of is None or capture.normalized_at is None:
        return True
    return capture.normalized_at <= selector.as_of
