"""Small publications in a source folder, as FINRA would have published them: due on the day, dates that fit the week."""

from __future__ import annotations

import gzip
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from pipeline.finra.calendar import PartitionKey, Tier, due_date
from pipeline.finra.sources.files.file_names import file_name
from tests.support.sources_in_memory import psv, row

# On this Monday all tiers of WEEK are due, and of NEWER_WEEK only the first.
DAY = date(2025, 12, 15)
WEEK = date(2025, 11, 14)
NEWER_WEEK = date(2025, 11, 28)
OLDER_WEEK = date(2025, 11, 7)
OTC = PartitionKey(WEEK, Tier.OTC)
TIER_1 = PartitionKey(WEEK, Tier.NMS_TIER_1)
TIER_2 = PartitionKey(WEEK, Tier.NMS_TIER_2)
MICRO = Decimal("0.000001")
DATES = 7  # so many days: two restatements of a row rarely have the same one
Rows = tuple[tuple[str, str, str, int], ...]
ROWS: Rows = (
    ("AAPL", "UBSA", "100.5", 3),
    ("AAPL", "SGMT", "50", 2),
    ("MSFT", "UBSA", "25.25", 1),
    ("ZZZZ", "SGMT", "4", 1),
)


def rows_of(week_ending: date) -> Rows:
    """The usual four rows, in each week with a few millionths of a share more or less: no week is another one again."""
    weeks_before = (WEEK - week_ending).days // 7
    return tuple((symbol, mpid, str(Decimal(s) + weeks_before * MICRO), t) for symbol, mpid, s, t in ROWS)


def content(key: PartitionKey, rows: Rows | None = None, *, updated: date | None = None) -> bytes:
    """A file of `key` with these rows, or the usual ones of its week: symbol, MPID, shares, trades.

    Each row is dated `updated`, or as FINRA dates what it publishes and restates.
    """
    rows = rows_of(key.week_ending) if rows is None else rows
    dated = updated.isoformat() if updated else ""
    lines = [row(symbol, mpid, s, t, tier=key.tier, updated=dated or _updated(key, s)) for symbol, mpid, s, t in rows]
    return psv(*lines)


def _updated(key: PartitionKey, shares: str) -> str:
    """The day of publication, or, of what is no usual row, one of the days after it: FINRA dates what it restates."""
    due = due_date(key.tier, key.week_ending)
    if not shares.replace(".", "", 1).isdigit():  # a line that is to be rejected
        return due.isoformat()
    is_usual = Decimal(shares) in {Decimal(usual) for _, _, usual, _ in rows_of(key.week_ending)}
    return (due + timedelta(days=0 if is_usual else 1 + int(Decimal(shares)) % DATES)).isoformat()


def publish(folder: Path, key: PartitionKey, text: bytes | None = None, suffix: str = "") -> Path:
    """Write the file of `key` into the folder: `text`, or the usual four rows; `.gz` compresses."""
    path = folder / f"{file_name(key)}{suffix}"
    plain = content(key) if text is None else text
    path.write_bytes(gzip.compress(plain, mtime=0) if suffix == ".gz" else plain)
    return path


def publish_week(folder: Path, week_ending: date = WEEK) -> list[PartitionKey]:
    """Write the files of all tiers of a week."""
    keys = [PartitionKey(week_ending, tier) for tier in Tier]
    for key in keys:
        publish(folder, key)
    return keys


def restate(folder: Path, key: PartitionKey, shares: str = "101") -> Path:
    """Publish `key` again with the first row's shares changed."""
    (symbol, mpid, _, trades), *others = rows_of(key.week_ending)
    return publish(folder, key, content(key, ((symbol, mpid, shares, trades), *others)))


def capture_id(key: PartitionKey, nth: int = 1, day: date = DAY) -> str:
    """The id of the nth capture of `key` on `day`."""
    suffix = "" if nth == 1 else f".{nth}"
    return f"finra.otc_transparency:{key.tier}:{key.week_ending}:{day:%Y%m%d}{suffix}"
