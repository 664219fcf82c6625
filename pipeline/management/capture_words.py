"""Words that name a capture: `OTC 2026-10-16`, `OTC:2026-10-16:20261125`, `latest`, `previous`, `v2`, or a whole id."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.finra.calendar import CalendarError, PartitionKey, Tier, check_friday, parse_day
from pipeline.management.base import BadArguments
from pipeline.models import Capture
from pipeline.models.capture import DOMAIN, CaptureQuerySet

LATEST, PREVIOUS = "latest", "previous"
DAY = re.compile(r"\d{4}-\d\d-\d\d")
VERSION = re.compile(r"v([1-9][0-9]{0,8})")
HELP = (
    "TIER WEEK (OTC 2026-10-16), with latest, previous or v2 behind it for a certain one; latest or previous alone, of the "
    "partition captured last; OTC:2026-10-16:20261125; or a whole capture_id"
)


def select(words: Sequence[str], default: Sequence[str]) -> list[Capture]:
    """The captures that the words name, in their order; of a partition without further words, those of `default`.

    As many as `default` has; BadArguments for more, for fewer, and for what is not there.
    """
    given = " ".join(words).split()
    key, rest = _partition(given)
    if key is not None and len(rest) < len(default):
        rest = [*_before(rest, default)[: len(default) - len(rest)], *rest]
    if len(rest) != len(default):
        raise BadArguments(f"{len(default)} to be named, not {len(rest)}: write {HELP}")
    return [_named(word, key) for word in rest]


def _before(rest: Sequence[str], default: Sequence[str]) -> Sequence[str]:
    """The words that stand for those not given: before a version the one before it, else those of `default`."""
    version = VERSION.fullmatch(rest[0]) if rest else None
    if version is None:
        return default
    if version[1] == "1":
        raise BadArguments("v1 is the first capture of a partition: no other is before it")
    return [f"v{int(version[1]) - 1}"]


def _partition(words: list[str]) -> tuple[PartitionKey | None, list[str]]:
    """The partition that the words begin with, as two of them or as one with a colon; and the words behind it."""
    head = words[0].split(":") if words else []
    if len(head) == 2:
        return _key(*head), words[1:]
    if len(words) > 1 and (_is_tier(words[0]) or DAY.fullmatch(words[1])):
        return _key(*words[:2]), words[2:]
    return None, words


def _is_tier(word: str) -> bool:
    try:
        Tier.parse(word)
    except CalendarError:
        return False
    return True


def _key(tier: str, week_ending: str) -> PartitionKey:
    known_tier = Tier.parse(tier)
    friday = parse_day(week_ending, "a week ending")
    check_friday(friday)
    return PartitionKey(friday, known_tier)


def _named(word: str, key: PartitionKey | None) -> Capture:
    version = VERSION.fullmatch(word)
    if word not in (LATEST, PREVIOUS) and version is None:
        is_short = ":" in word and not word.startswith(f"{DOMAIN}:")
        return _with_id(f"{DOMAIN}:{word}" if is_short else word)
    of_partition = _captures_of(key)
    if version is not None:
        found = of_partition.filter(version=int(version[1])).first()
    else:
        found = of_partition.normalized().order_by("-version")[int(word == PREVIOUS) :].first()
    if found is None:
        raise BadArguments(_lacking(word, key, of_partition))
    return found


def _with_id(capture_id: str) -> Capture:
    capture = Capture.objects.select_related("partition").filter(capture_id=capture_id).first()
    if capture is not None:
        return capture
    stem = ":".join(capture_id.split(":")[:3])
    known = list(Capture.objects.filter(capture_id__startswith=stem).values_list("capture_id", flat=True)[:8])
    hint = f"; of that partition there are: {', '.join(known)}" if known and stem else ""
    raise BadArguments(f"there is no capture {capture_id!r}{hint}")


def _captures_of(key: PartitionKey | None) -> CaptureQuerySet:
    """The captures of a partition; without one, of that which was captured last."""
    captures = Capture.objects.select_related("partition")
    if key is not None:
        return captures.of_partition(key)
    newest = captures.normalized().order_by("-normalized_at", "-pk").first()
    return captures.filter(partition=newest.partition) if newest else captures.none()


def _lacking(word: str, key: PartitionKey | None, of_partition: CaptureQuerySet) -> str:
    """That there is no such capture, and which there are."""
    ids = list(of_partition.order_by("version").values_list("capture_id", flat=True)[:8])
    if not ids:
        return f"nothing of {key} is captured" if key else "nothing is captured yet"
    return f"{key or 'the partition captured last'} has no {word} capture; there are: {', '.join(ids)}"
