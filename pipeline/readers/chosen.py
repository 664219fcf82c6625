"""The vintages that a question is answered from, and the partitions that it lacks: by the ledger, no file is opened."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from django.utils import timezone

from pipeline.finra.calendar import FIRST_WEEK, PartitionKey, Tier, due_date, is_due, last_fridays, weeks_between
from pipeline.models import Capture, Partition
from pipeline.models.capture import CaptureQuerySet
from pipeline.readers import published
from pipeline.readers.errors import ErrorKind, Facts, ReadersError
from pipeline.readers.once import once
from pipeline.readers.questions import Question, Weeks
from pipeline.readers.selectors import Selector, SelectorKind
from pipeline.readers.values import invalid
from pipeline.vintages import read


class Lack(StrEnum):
    """Why a partition that was asked for is not in the answer."""

    NOT_YET_DUE = "NOT_YET_DUE"
    NOT_CAPTURED = "NOT_CAPTURED"
    NOT_KNOWN_YET = "NOT_KNOWN_YET"
    TOO_YOUNG = "TOO_YOUNG"
    PRUNED = "PRUNED"


FEW = 8  # weeks: the newest that all tiers have is among them, also where one is captured five weeks after another
KINDS = {
    Lack.NOT_YET_DUE: ErrorKind.NOT_YET_DUE,
    Lack.NOT_CAPTURED: ErrorKind.NOT_CAPTURED,
    Lack.NOT_KNOWN_YET: ErrorKind.NOT_KNOWN_YET,
    Lack.TOO_YOUNG: ErrorKind.NOT_KNOWN_YET,
    Lack.PRUNED: ErrorKind.VINTAGE_PRUNED,
}


@dataclass(frozen=True, slots=True)
class Missing:
    """A partition that was asked for and is not in the answer."""

    week_ending: date
    tier: Tier
    state: Lack
    due_date: date

    @property
    def key(self) -> PartitionKey:
        """The partition's natural key."""
        return PartitionKey(self.week_ending, self.tier)


Held = Mapping[PartitionKey, Capture]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The captures that a question is answered from, by week and tier, and the partitions that it lacks."""

    captures: tuple[Capture, ...]
    missing: tuple[Missing, ...]


def choose(question: Question, held: Held | None = None) -> Chosen:
    """The vintages of a question: of those `held`, where they were asked of the ledger for several questions at once.

    ReadersError where the one partition that it names is lacking, or the capture.
    """
    if question.selector.kind is SelectorKind.CAPTURE:
        return Chosen((of_the_question(capture_named(question.selector.capture or ""), question),), ())
    keys, held = (keys_of(question), held) if held is not None else _keys_and_vintages(question)
    wanted = [held[key] for key in keys if key in held]
    lacking = [_missing(key, held.get(key), question) for key in keys]
    chosen = Chosen(
        tuple(capture for capture in wanted if capture.pruned_at is None), tuple(one for one in lacking if one)
    )
    if question.names_one_partition and chosen.missing:
        raise _lacks(chosen.missing[0], question)
    return chosen


def of_the_question(capture: Capture, question: Question, parameter: str = "capture") -> Capture:
    """A capture that is named beside weeks and tiers. ReadersError for one of others."""
    key = capture.partition.key
    if key.tier in question.tiers and (question.weeks == Weeks() or key in keys_of(question)):
        return capture
    raise invalid(parameter, f"{capture} is of {key}, which is not among the weeks and tiers asked for")


def _keys_and_vintages(question: Question) -> tuple[list[PartitionKey], Held]:
    """The partitions asked for, by week and tier, and their vintages; without weeks, the newest that each tier has."""
    if question.weeks != Weeks():
        keys = keys_of(question)
        return keys, held_of(keys, question.selector)
    newest: dict[str, Capture] = {}
    for captures in newest_weeks_first(question):
        newest = {capture.partition.tier: capture for capture in captures} | newest  # by week: the newest one stays
        if len(newest) == len(question.tiers):
            break
    held = {capture.partition.key: capture for capture in newest.values()}
    return sorted(held), held


def held_of(keys: Iterable[PartitionKey], selector: Selector) -> Held:
    """The vintage that a selector chooses of each partition; pruned ones, too."""
    return {capture.partition.key: capture for capture in vintages(keys, selector)}


def newest_weeks_first(question: Question) -> Iterator[list[Capture]]:
    """The vintages of all captured weeks, whichever weeks are asked for: of the newest few, and then of all before.

    The newest few are asked of the ledger alone by those to which they are enough.
    """
    few = FEW * len(question.tiers)
    for first, last in ((0, few), (few, None)):
        keys = _captured(question.tiers, first, last)
        if keys:
            yield vintages(keys, question.selector)


def keys_of(question: Question) -> list[PartitionKey]:
    """The partitions of the weeks that a question names, due or not, by week and tier."""
    weeks = question.weeks
    if weeks.listed:
        return [PartitionKey(week, tier) for week in weeks.listed for tier in question.tiers]
    if weeks.last:
        return sorted(key for tier in question.tiers for key in _last_due(tier, weeks.last, question.on_day))
    captured = _captured(question.tiers)
    since = weeks.since or min((key.week_ending for key in captured), default=None)
    until = weeks.until or _newest_due(question.tiers, question.on_day)
    if since is None or since > until:
        return []
    keys = [PartitionKey(week, tier) for week in weeks_between(since, until)[::-1] for tier in question.tiers]
    by_name = weeks.until is not None
    return [key for key in keys if by_name or is_due(key, question.on_day) or key in captured]


@once
def _captured(tiers: tuple[Tier, ...], first: int = 0, last: int | None = None) -> set[PartitionKey]:
    """The partitions that have rows, the newest week first: all, or those from one place to another."""
    captured = Partition.objects.filter(tier__in=tiers, latest__isnull=False).order_by("-week_ending", "tier")
    return {PartitionKey(week, Tier(tier)) for week, tier in captured.values_list("week_ending", "tier")[first:last]}


def _last_due(tier: Tier, number: int, day: date) -> list[PartitionKey]:
    """The last so many weeks of a tier that are due on a day; fewer where FINRA's publications begin."""
    most = (day - FIRST_WEEK).days // 7 + 1
    if most < 1:
        return []
    fridays = last_fridays(max(1, min(number + 6, most)), day)
    return [key for week in fridays if is_due(key := PartitionKey(week, tier), day)][:number]


def _newest_due(tiers: Collection[Tier], day: date) -> date:
    return max((key.week_ending for tier in tiers for key in _last_due(tier, 1, day)), default=FIRST_WEEK)


def vintages(keys: Iterable[PartitionKey], selector: Selector) -> list[Capture]:
    """The vintage that a selector chooses of each partition, by week and tier; pruned ones, too."""
    return _vintages(tuple(sorted(keys)), selector)


@once
def _vintages(keys: tuple[PartitionKey, ...], selector: Selector) -> list[Capture]:
    if selector.kind is SelectorKind.AS_OF and selector.as_of is not None:
        return read.captures_as_of(selector.as_of, keys)
    partitions = Partition.objects.for_keys(keys)
    known = Capture.objects.normalized().select_related("partition").order_by()
    if selector.kind is SelectorKind.PUBLISHED and selector.as_of is not None:
        return sorted(published.vintages(known.filter(partition__in=partitions), selector.as_of), key=_place)
    if selector.kind is SelectorKind.LATEST:
        return sorted(known.filter(pk__in=partitions.values("latest")), key=_place)
    return sorted(_newest(_fitting(known.filter(partition__in=partitions), selector)), key=_place)


def _fitting(known: CaptureQuerySet, selector: Selector) -> list[Capture]:
    """The captures among which the newest is asked for, oldest first."""
    if selector.kind is SelectorKind.POSITION:
        return list(known.filter(position__lte=selector.position).order_by("version"))
    ordered = known.order_by("version")
    if selector.kind is SelectorKind.FIRST:
        return list(ordered.standing())[::-1]
    return [capture for capture in ordered if _is_of_age(capture, selector.at_age_days or 0)]


def _is_of_age(capture: Capture, days: int) -> bool:
    """Whether a capture was known at an age that its partition has reached."""
    instant = at_age(capture.partition.key, days)
    return capture.normalized_at is not None and capture.normalized_at <= instant <= timezone.now()


def at_age(key: PartitionKey, days: int) -> datetime:
    """The end of the day in New York on which a partition is so many days old, counted from its due date."""
    return read.instant_of(due_date(key.tier, key.week_ending) + timedelta(days=days))


def _newest(captures: Iterable[Capture]) -> Iterable[Capture]:
    """The last one of each partition."""
    return {capture.partition_id: capture for capture in captures}.values()


def _place(capture: Capture) -> PartitionKey:
    return capture.partition.key


def _missing(key: PartitionKey, capture: Capture | None, question: Question) -> Missing | None:
    """How a partition is lacking; None where it is not."""
    state = Lack.PRUNED if capture and capture.pruned_at else None if capture else _why(key, question)
    return Missing(key.week_ending, key.tier, state, due_date(key.tier, key.week_ending)) if state else None


def _why(key: PartitionKey, question: Question) -> Lack:
    """Why a partition has no such vintage. Of what is asked as of an instant, the same for ever."""
    selector = question.selector
    if not is_due(key, question.on_day):
        return Lack.NOT_YET_DUE
    if selector.is_pinned:
        return Lack.NOT_KNOWN_YET
    if selector.kind is SelectorKind.AT_AGE:
        too_young = at_age(key, selector.at_age_days or 0) > timezone.now()
        return Lack.TOO_YOUNG if too_young else Lack.NOT_KNOWN_YET
    return Lack.NOT_CAPTURED


def _lacks(missing: Missing, question: Question) -> ReadersError:
    """That the one partition that was asked for is lacking, and since when it is known."""
    key, due = missing.key, missing.due_date
    of_partition = Capture.objects.normalized().filter(partition__in=Partition.objects.for_keys([key]))
    first = of_partition.order_by("version").values_list("normalized_at", flat=True).first()
    known = f"; it is known since {first.isoformat()}" if first and missing.state is not Lack.PRUNED else ""
    told = {
        Lack.NOT_YET_DUE: f"{key} is not yet due: FINRA publishes it on {due}",
        Lack.NOT_CAPTURED: f"{key} is due since {due}, and not captured",
        Lack.NOT_KNOWN_YET: f"nothing was known of {key} then{known}",
        Lack.TOO_YOUNG: f"{key} is not {question.selector.at_age_days} days old yet: it was due on {due}",
        Lack.PRUNED: f"the rows that {key} had then have been given up, by retention or by force",
    }
    facts = Facts(due_date=due, first_known_at=first, capture_ids=kept_of(key))
    return ReadersError(KINDS[missing.state], told[missing.state], facts=facts)


def kept_of(key: PartitionKey) -> tuple[str, ...]:
    """The captures of a partition whose rows are kept, oldest first."""
    kept = Capture.objects.normalized().filter(pruned_at__isnull=True, partition__in=Partition.objects.for_keys([key]))
    return tuple(kept.order_by("version").values_list("capture_id", flat=True))


def capture_named(capture_id: str, parameter: str = "capture") -> Capture:
    """A capture by its id. ReadersError where there is none, or its rows are not there."""
    found = require_capture(capture_id, parameter)
    if found.pruned_at is not None or found.normalized_at is None:
        raise _without_rows(found)
    return found


def require_capture(capture_id: str, parameter: str = "capture") -> Capture:
    """A capture by its id, whether its rows are there or not. ReadersError, which names its like, where there is none."""
    found = Capture.objects.select_related("partition").filter(capture_id=capture_id).first()
    if found is None:
        stem = capture_id.rpartition(":")[0]
        near = Capture.objects.filter(capture_id__startswith=stem).order_by("version") if stem.count(":") > 1 else []
        ids = tuple(one.capture_id for one in near)
        detail = f"there is no capture {capture_id!r}" + (f"; of that partition there are {', '.join(ids)}" * bool(ids))
        raise ReadersError(ErrorKind.UNKNOWN_CAPTURE, detail, parameter, Facts(capture_ids=ids))
    return found


def _without_rows(capture: Capture) -> ReadersError:
    try:
        read.check_stored(capture)
    except read.NoSuchVintage as error:
        kind = ErrorKind.VINTAGE_PRUNED if capture.pruned_at else ErrorKind.NOT_CAPTURED
        return ReadersError(kind, str(error), "capture", Facts(capture_ids=kept_of(capture.partition.key)))
    raise AssertionError(f"{capture} has its rows")
