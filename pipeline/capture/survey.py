"""The captures of a week, and of the weeks around it, beside their neighbours: an anomaly on each that is far from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from django.db import transaction

from pipeline.capture import assessment, endings, locks
from pipeline.capture.anew import since_anew
from pipeline.capture.neighbours import far_from_neighbours, trades_far
from pipeline.capture.surroundings import AROUND, captured_around, neighbours, sizes_of
from pipeline.finra.calendar import Tier
from pipeline.models import Anomaly, Capture, Category, Readiness, Run, Severity, Stage
from pipeline.models.anomaly import MARKETSPINE


def survey(week_ending: date, run: Run | None) -> list[date]:
    """Compare a week, and the weeks around it, with their neighbours; which other weeks have to be judged again.

    A capture far from its neighbours' median has an IMPLAUSIBLE anomaly. It ends by itself when more neighbours show that
    it was not the odd one, and is not raised again once a person has resolved it: the order of capture changes nothing.
    """
    with transaction.atomic():
        locks.one_at_a_time(locks.SURVEY)
        anomalies = Anomaly.objects.open().filter(category=Category.IMPLAUSIBLE)
        open_ = {anomaly.partition_id: anomaly for anomaly in anomalies}
        for captured in captured_around(week_ending, 2 * AROUND, *Tier).values():
            _survey_tier(captured, week_ending, open_, run)
    return _moved_weeks(week_ending)


def _survey_tier(
    captured: Mapping[date, Capture], week_ending: date, open_: Mapping[int | None, Anomaly], run: Run | None
) -> None:
    allowed = assessment.limits()
    for week, capture in captured.items():
        if abs(week - week_ending) > AROUND:
            continue
        around = neighbours(week, captured)
        far = far_from_neighbours(week, sizes_of(capture), around, allowed)
        far += trades_far(week, capture.trades, _trades_alike(capture, around, captured), allowed)
        anomaly = open_.get(capture.partition_id)
        if far and anomaly is None and not _is_accepted(capture):
            _raise(capture, far, sorted(around), run)
        elif not far and anomaly is not None:
            endings.resembles_its_neighbours(anomaly, capture, run)


def _trades_alike(capture: Capture, around: Iterable[date], captured: Mapping[date, Capture]) -> dict[date, int]:
    """The trades of the weeks around that have the same kinds: they are known of both together."""
    kinds = capture.venue_kinds
    return {week: captured[week].trades for week in around if captured[week].venue_kinds == kinds}


def _raise(capture: Capture, far: list[str], around: list[date], run: Run | None) -> None:
    unlike = (
        f"the weeks around it ({len(around)}, {around[0]} to {around[-1]})" if around else "what is expected of a week"
    )
    message = (
        f"{capture} is unlike {unlike}: {'; '.join(far)}. If the week was so, resolve "
        "this with a note; otherwise bring the right files and force them"
    )
    Anomaly.objects.record(
        Category.IMPLAUSIBLE, Severity.ERROR, message, partition=capture.partition, stage=Stage.NORMALIZED, run=run
    )


def _is_accepted(capture: Capture) -> bool:
    """Whether a person has resolved it since the partition was captured anew; restatements leave that standing."""
    resolved = Anomaly.objects.filter(partition=capture.partition, category=Category.IMPLAUSIBLE)
    resolved = resolved.filter(resolved_at__gte=since_anew(capture)[0].captured_at)
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
