"""One week's files as FINRA publishes them, and writing them into a source folder."""

from __future__ import annotations

import os
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.finra.calendar import PartitionKey, Tier, due_date
from pipeline.finra.formats.web_file import COLUMNS
from pipeline.finra.payloads import SAMPLE_MARK, PartName
from pipeline.finra.samples.universe import (
    ATS_BREADTH,
    FIRM_BREADTH,
    POOL,
    SampleSecurity,
    SampleVenue,
    Size,
    firms,
    securities,
    venues,
)
from pipeline.finra.sources.files.file_names import file_name

FRACTIONAL_SINCE = date(2026, 2, 1)  # about 13 % of FINRA's rows have fractional shares since then
FRACTIONAL_SHARE = 0.13
FRACTIONAL_BEFORE = 0.02
NAME = COLUMNS.index("marketParticipantName")
ATS_SHARE = 0.45  # of a security's off-exchange volume


@dataclass(frozen=True, slots=True)
class Published:
    """A file that was written, and how many rows it has."""

    path: Path
    rows: int


def publish(
    root: Path, *, weeks: Sequence[date], seed: int, size: Size, tiers: Sequence[Tier] = tuple(Tier)
) -> list[Published]:
    """Write the ATS and non-ATS files of each week and tier into `root`, each whole or not at all."""
    root.mkdir(parents=True, exist_ok=True)
    return [
        write(root / file_name(PartitionKey(week, tier), part), render(PartitionKey(week, tier), part, seed, size))
        for week in weeks
        for tier in tiers
        for part in PartName
    ]


def publish_samples(root: Path, keys: Collection[PartitionKey], seed: int, size: Size) -> list[Published]:
    """Write the files of `keys` that are not there, their venues marked as samples, each whole or not at all."""
    root.mkdir(parents=True, exist_ok=True)
    wanted = [(root / file_name(key, part), key, part) for key in keys for part in PartName]
    return [write(path, mark(render(key, part, seed, size))) for path, key, part in wanted if not path.exists()]


def mark(content: bytes) -> bytes:
    """The publication with every venue marked as invented, but the pool, which is known by its name."""
    header, *rows = content.decode().split("\n")
    return "\n".join([header, *map(_marked, rows)]).encode()


def _marked(row: str) -> str:
    fields = row.split("|")
    if len(fields) == len(COLUMNS) and fields[NAME] != POOL:
        fields[NAME] += SAMPLE_MARK
    return "|".join(fields)


def write(path: Path, content: bytes) -> Published:
    """Write a file under another name and rename it: a reader sees all of it or nothing; OSError where it cannot be."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return Published(path, content.count(b"\n") - 1)


def render(key: PartitionKey, part: PartName, seed: int, size: Size) -> bytes:
    """The bytes of one file. Every partition is drawn by itself: what else is published changes nothing."""
    rng = random.Random(f"{seed}|{key}|{part}|{size.value}")
    rows = _ats_rows(rng, key, seed, size) if part is PartName.ATS else _firm_rows(rng, key, seed, size)
    updated = due_date(key.tier, key.week_ending).isoformat()
    lines = [f"{key.tier.description}|{row}|{updated}" for row in rows]
    return "\n".join(["|".join(COLUMNS), *lines, ""]).encode()


def _ats_rows(rng: random.Random, key: PartitionKey, seed: int, size: Size) -> Iterator[str]:
    known = venues(key.tier, seed)
    for security in securities(key.tier, size, seed):
        volume = security.shares * ATS_SHARE * rng.lognormvariate(0, 0.25)
        yield from _split(rng, key, security, _active(rng, known, ATS_BREADTH[key.tier]), volume)


def _firm_rows(rng: random.Random, key: PartitionKey, seed: int, size: Size) -> Iterator[str]:
    """Named firms share what the De Minimis pool leaves: it holds 26-36 % of non-ATS shares."""
    known = firms(key.tier, seed)
    for security in securities(key.tier, size, seed):
        volume = security.shares * (1 - ATS_SHARE) * rng.lognormvariate(0, 0.25)
        pooled = rng.uniform(0.26, 0.36)
        yield _row(rng, key, security, SampleVenue("", POOL, 1), volume * pooled)
        yield from _split(rng, key, security, _active(rng, known, FIRM_BREADTH[key.tier]), volume * (1 - pooled))


def _active(rng: random.Random, known: tuple[SampleVenue, ...], breadth: float) -> list[SampleVenue]:
    """The venues that trade a security this week: the large ones nearly always, at least one."""
    return [venue for rank, venue in enumerate(known) if rng.random() < breadth / (breadth + rank * 0.6)] or [known[0]]


def _split(
    rng: random.Random, key: PartitionKey, security: SampleSecurity, active: list[SampleVenue], volume: float
) -> Iterator[str]:
    """`volume` over the active venues, by their weights and some luck, in the order of their names."""
    weights = [venue.weight * rng.lognormvariate(0, 0.5) for venue in active]
    total = sum(weights)
    split = zip(active, weights, strict=True)
    for venue, weight in sorted(split, key=lambda pair: pair[0].name):
        yield _row(rng, key, security, venue, volume * weight / total)


def _row(rng: random.Random, key: PartitionKey, security: SampleSecurity, venue: SampleVenue, shares: float) -> str:
    trades = max(1, round(shares / rng.uniform(60, 240)))
    quantity = str(max(1, round(shares)))
    often = FRACTIONAL_SHARE if key.week_ending >= FRACTIONAL_SINCE else FRACTIONAL_BEFORE
    if rng.random() < often:
        quantity += f".{rng.randrange(1, 10 ** rng.randint(1, 6))}"
    return f"{security.symbol}|{security.issue_name}|{venue.name}|{venue.mpid}|{quantity}|{trades}"
