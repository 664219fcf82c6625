"""Words that name a capture: `OTC 2026-10-16`, `OTC:2026-10-16:20261125`, `latest`, `previous`, `v2`, or a whole id."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.finra.calendar import CalendarError, PartitionKey, Tier, check_friday, parse_day
from pipeline.models import Capture
from pipeline.models.capture import DOMAIN, CaptureQuerySet
from pipeline.review.verification import NoSuchCapture, find_capture

LATEST, PREVIOUS = "latest", "previous"
VERSION = re.compile(r"v([1-9][0-9]{0,8})")
HELP = (
    "TIER WEEK (OTC 2026-10-16), with latest, previous or v2 behind it for a certain one; latest or previous alone, of the "
    "partition captured last; OTC:2026-10-16:20261125; or a whole capture_id"
)


def select(words: Sequence[str], default: Sequence[str]) -> list[Capture]:
    """The captures that the words name, in their order; of a partition without further words, those of `default`.

    As many as `default` has; NoSuchCapture for more, for fewer, and for what is not there.
    """
    given = " ".join(words).split()
    key, rest = _partition(given)
    if key is not None and len(rest) < len(default):
        rest = [*default[: len(default) - len(rest)], *rest]
    if len(rest) != len(default):
        raise NoSuchCapture(f"{len(default)} to be named, not {len(rest)}: write {HELP}")
    return [_named(word, key) for word in rest]


def _partition(words: list[str]) -> tuple[PartitionKey | None, list[str]]:
    """The partition that the words begin with, as two of them or as one with a colon; and the words behind it."""
    head = words[0].split(":") if words else []
    if len(head) == 2:
        return _key(*head), words[1:]
    if len(words) > 1 and _is_tier(words[0]):
        return _key(*words[:2]), words[2:]
    return None, words


def _is_tier(word: str) -> bool:
    try:
        Tier.parse(word)
    except CalendarError:
        return False
    return True


def _key(tier: str, week_ending: str) -> PartitionKey:
    friday = parse_day(week_ending, "a week ending")
    check_friday(friday)
    return PartitionKey(friday, Tier.parse(tier))


def _named(word: str, key: PartitionKey | None) -> Capture:
    version = VERSION.fullmatch(word)
    if word not in (LATEST, PREVIOUS) and version is None:
        is_short = ":" in word and not word.startswith(f"{DOMAIN}:")
        return find_capture(f"{DOMAIN}:{word}" if is_short else word)
    of_partition = _captures_of(key)
    if version is not None:
        found = of_partition.filter(version=int(version[1])).first()
    else:
        found = of_partition.normalized().order_by("-version")[int(word == PREVIOUS) :].first()
    if found is None:
        raise NoSuchCapture(f"{key or 'the ledger'} has no {word} capture{_there(of_partition)}")
    return found


def _captures_of(key: PartitionKey | None) -> CaptureQuerySet:
    """The captures of a partition; without one, of that which was captured last."""
    captures = Capture.objects.select_related("partition")
    if key is not None:
        return captures.of_partition(key)
    newest = captures.normalized().order_by("-normalized_at", "-pk").first()
    return captures.filter(partition=newest.partition) if newest else captures.none()


def _there(captures: CaptureQuerySet) -> str:
    ids = list(captures.order_by("version").values_list("capture_id", flat=True)[:8])
    return f"; there are: {', '.join(ids)}" if ids else ""
