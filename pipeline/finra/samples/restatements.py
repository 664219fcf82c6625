"""Restating what was published: few rows changed, some added, some removed, their lastUpdateDate moved on."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pipeline.finra.calendar import next_business_day
from pipeline.finra.formats.web_file import COLUMNS
from pipeline.finra.samples.publications import write

TOUCHED = 0.0004  # of a file's rows; 3 of 167,600 had moved in the week that was probed (finra.md, "Revisions")
LEAST = 3
SYMBOL, NAME, MPID, SHARES, TRADES, UPDATED = 1, 3, 4, 5, 6, 7


class NotAPublication(ValueError):
    """A file that is named like a publication and is none; it was left as it is."""


@dataclass(frozen=True, slots=True)
class Restated:
    """A file that was rewritten, and what became of its rows."""

    path: Path
    changed: int
    added: int
    removed: int


def restate(root: Path, *, seed: int, share: float, today: date = date.max) -> list[Restated]:
    """Restate `share` (0-1) of the files of ATS volume in `root`, at least one. Another seed restates others.

    No row is dated later than `today`.

    NotAPublication where a file is not in FINRA's format or has no rows; those before it are restated.
    """
    files = sorted(path for path in root.glob("*_week_*.psv") if ".nonats." not in path.name)
    if not files or share == 0:
        return []
    rng = random.Random(f"{seed}|restate")
    return [_restate(path, seed, today) for path in sorted(rng.sample(files, max(1, round(len(files) * share))))]


def _restate(path: Path, seed: int, today: date) -> Restated:
    try:
        rows = _rows(path)
        changed, added, removed = _redraw(random.Random(f"{seed}|restate|{path.name}"), rows, today)
    except ValueError as error:
        raise NotAPublication(f"{path} cannot be restated: {error}") from error
    write(path, "\n".join(["|".join(COLUMNS), *map("|".join, rows), ""]).encode())
    return Restated(path, changed, added, removed)


def _rows(path: Path) -> list[list[str]]:
    header, *lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    rows = [line.split("|") for line in lines]
    if header.split("|") != list(COLUMNS) or not rows or any(len(row) != len(COLUMNS) for row in rows):
        raise ValueError("it is not FINRA's header and rows")
    return rows


def _redraw(rng: random.Random, rows: list[list[str]], today: date) -> tuple[int, int, int]:
    """Restate `rows` in place: how many were changed, added and removed."""
    changed = rng.sample(range(len(rows)), min(len(rows), max(LEAST, round(len(rows) * TOUCHED))))
    for at in changed:
        _change(rng, rows[at], today)
    removed = _remove(rng, rows, set(changed))
    return len(changed), _add(rng, rows, today), removed


def _change(rng: random.Random, row: list[str], today: date) -> None:
    """A correction of some per cent, reported some days or weeks later."""
    whole, point, fraction = row[SHARES].partition(".")
    row[SHARES] = f"{max(1, round(int(whole) * rng.uniform(1.01, 1.08)) + 1)}{point}{fraction}"
    row[TRADES] = str(int(row[TRADES]) + rng.randint(1, 40))
    _touch(rng, row, today)


def _touch(rng: random.Random, row: list[str], today: date) -> None:
    later = date.fromisoformat(row[UPDATED]) + timedelta(days=rng.randint(1, 40))
    row[UPDATED] = min(next_business_day(later), today).isoformat()


def _remove(rng: random.Random, rows: list[list[str]], kept: set[int]) -> int:
    """Take away a row or two, sometimes; not one that was changed."""
    candidates = [at for at in range(len(rows)) if at not in kept]
    going = rng.sample(candidates, min(rng.choice((0, 0, 1, 2)), len(candidates)))
    for at in sorted(going, reverse=True):
        del rows[at]
    return len(going)


def _add(rng: random.Random, rows: list[list[str]], today: date) -> int:
    """Add a row or two, sometimes: a venue that had not reported a symbol, where FINRA's order has it."""
    taken = {(row[SYMBOL], row[SYMBOL + 1], row[MPID]) for row in rows}
    added = 0
    for _ in range(rng.choice((0, 1, 1, 2))):
        at, other = rng.randrange(len(rows)), rng.choice(rows)
        row = [*rows[at][:NAME], other[NAME], other[MPID], str(rng.randint(1, 5_000)), "1", rows[at][UPDATED]]
        if (row[SYMBOL], row[SYMBOL + 1], row[MPID]) not in taken:
            _touch(rng, row, today)
            rows.insert(at + 1, row)
            taken.add((row[SYMBOL], row[SYMBOL + 1], row[MPID]))
            added += 1
    return added
