"""What who uses an answer should know of it: what was restated later, what stands open against it, what was taken back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date

from pipeline.models import Anomaly, Capture
from pipeline.readers import published
from pipeline.readers.chosen import Chosen
from pipeline.readers.meta import Caveat
from pipeline.readers.once import once
from pipeline.readers.questions import Question

NAMED = 5


def of_rows(chosen: Chosen) -> tuple[Caveat, ...]:
    """What is known now of the vintages of an answer, and of the partitions that it lacks."""
    return tuple(_of_captures(chosen.captures)) + tuple(of_missing(chosen))


def of_clock(question: Question) -> tuple[Caveat, ...]:
    """What an answer by FINRA's clock lacks."""
    if not published.is_published(question):
        return ()
    day = published.day_of(question.selector)
    told = f"rows that FINRA revised after {day} are not in the answer: what they said then is not known"
    return (Caveat("published_clock", told),)


def _of_captures(captures: Collection[Capture]) -> Iterator[Caveat]:
    later = [str(one) for one in captures if one.partition.latest_id != one.pk]
    if later:
        yield Caveat("restated_later", f"a later capture than {listed(later)} exists")
    yield from _annulled(captures)
    for anomaly in _open_against(captures):
        yield Caveat(
            "open_anomaly", f"{anomaly.place}: open {anomaly.severity} anomaly, {anomaly.category}: {anomaly.message}"
        )


def _open_against(captures: Collection[Capture]) -> Iterable[Anomaly]:
    """The open anomalies of the partitions, found by the span of their weeks: they are few, and five years have 780."""
    weeks, ids = [one.partition.week_ending for one in captures], {one.partition_id for one in captures}
    return [one for one in _open_within(min(weeks), max(weeks)) if one.partition_id in ids] if weeks else []


@once
def _open_within(first: date, last: date) -> list[Anomaly]:
    within = Anomaly.objects.open().filter(partition__week_ending__range=(first, last))
    return list(within.select_related("partition").order_by("pk"))


def _annulled(captures: Collection[Capture]) -> Iterator[Caveat]:
    """The captures among these that an operator took back: of all that were, since they are few."""
    ids = {capture.pk for capture in captures}
    for pk, name, by, why in _taken_back():
        if pk in ids:
            yield Caveat("annulled", f"{name} was annulled by {by}: {why}")


@once
def _taken_back() -> list[tuple[int, str, str, str]]:
    """Every annulled capture and its id, by whom it was annulled and why."""
    annulments = Capture.objects.filter(annuls__isnull=False).order_by("position")
    return list(annulments.values_list("annuls__pk", "annuls__capture_id", "requested_by", "request_reason"))


def of_missing(chosen: Chosen) -> Iterator[Caveat]:
    """That partitions which were asked for are not in the answer."""
    if chosen.missing:
        names = [f"{one.key} ({one.state})" for one in chosen.missing]
        yield Caveat("incomplete", f"not in the answer: {listed(names)}")


def listed(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
