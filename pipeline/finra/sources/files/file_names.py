"""Names of publications in a folder: those that are read, and near misses, with the name that they should have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta

from pipeline.finra.calendar import PartitionKey, Tier, read_day, week_start_of
from pipeline.finra.payloads import PartName
from pipeline.finra.plain_text import as_typed, printable, shortened

SUFFIXES = {PartName.ATS: ".psv", PartName.NON_ATS: ".nonats.psv"}
# FINRA's own download ends in .csv, and some systems write endings in capitals: neither leaves a doubt.
TAKEN = re.compile(
    r"(?P<tier>nms_tier_1|nms_tier_2|otc)_week_(?P<week>\d{4}-\d\d-\d\d)(?i:(?P<non_ats>\.nonats)?\.(psv|csv)(\.gz|\.zst)?)",
    re.ASCII,
)
TIERS = {
    Tier.NMS_TIER_1: re.compile(r"tier_?1|(^|_)t_?1(_|$)"),
    Tier.NMS_TIER_2: re.compile(r"tier_?2|(^|_)t_?2(_|$)"),
    Tier.OTC: re.compile(r"otc(?!.*tier)"),
}
NON_ATS = re.compile(r"non_?ats")
COMPRESSED = re.compile(r"\.(gz|zst)$", re.IGNORECASE)
DAYS = 7  # a near miss may name any day of the week
SHOWN, LONGEST = 3, 80

Index = dict[tuple[PartitionKey, PartName], list[str]]


def file_name(key: PartitionKey, part: PartName = PartName.ATS) -> str:
    """The name of a partition's uncompressed file: `nms_tier_1_week_2025-11-14.psv`."""
    return f"{key.tier.lower()}_week_{key.week_ending}{SUFFIXES[part]}"


def index(names: Iterable[str]) -> Index:
    """The names that are read, by the partition and part that they name, each list in order."""
    found: Index = {}
    for name in sorted(names):
        place = _place(name)
        if place is not None:
            found.setdefault(place, []).append(name)
    return found


def is_named_for(name: str, key: PartitionKey) -> bool:
    """Whether a file of this name in a source folder is read for the partition."""
    place = _place(name)
    return place is not None and place[0] == key


def near_misses(key: PartitionKey, names: Iterable[str]) -> list[str]:
    """The files that may be meant for a partition, each with the name that it should have."""
    return [_renaming(name, key) for name in sorted(names) if _is_near(name, key)]


def first_of(sentences: Sequence[str]) -> str:
    """The first sentences, and how many more there are."""
    more = f" (and {len(sentences) - SHOWN} more)" if len(sentences) > SHOWN else ""
    return "; ".join(sentences[:SHOWN]) + more


def _place(name: str) -> tuple[PartitionKey, PartName] | None:
    parts = TAKEN.fullmatch(name)
    week = read_day(parts["week"]) if parts else None
    if parts is None or week is None:
        return None
    return PartitionKey(week, Tier(parts["tier"].upper())), PartName.NON_ATS if parts["non_ats"] else PartName.ATS


def _is_near(name: str, key: PartitionKey) -> bool:
    """Whether a name has the tier and a day of the week, and is no other partition's."""
    place = _place(name)
    if name.startswith(".") or (place and place[0].week_ending.weekday() == key.week_ending.weekday()):
        return False
    plain = re.sub("[^a-z0-9]+", "_", name.lower())
    days = [week_start_of(key.week_ending) + timedelta(days=n) for n in range(DAYS)]
    dates = [text for day in days for text in (f"{day:%Y_%m_%d}", f"{day:%Y%m%d}", f"{day:%m_%d_%Y}", f"{day:%m%d%Y}")]
    return bool(TIERS[key.tier].search(plain)) and any(date in plain for date in dates)


def _renaming(name: str, key: PartitionKey) -> str:
    part = PartName.NON_ATS if NON_ATS.search(name.lower()) else PartName.ATS
    ending = COMPRESSED.search(name)
    right = file_name(key, part) + (ending[0].lower() if ending else "")
    return f"'{shortened(printable(as_typed(name)), LONGEST)}' is there: if it is meant, name it {right}"
