"""How fast the readers answer over HTTP on a large ledger: `python -m benchmarks.readers [--weeks 260]`.

The ledger of `benchmarks.admin`: 260 weeks of real size, three captures each, on PostgreSQL. A script with a token asks
through Django's whole stack, but the socket, and reads the answer to its end. Beside it stands polars alone, which reads the
same vintage files, whose paths it is told, and makes the same form of them, without ledger, rights, ETag or provenance.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
django.setup()

import polars as pl
from django.contrib.auth.models import Group, User
from django.core.files.storage import default_storage
from django.test import Client, override_settings

from benchmarks import program
from benchmarks.large_ledger import large_ledger
from pipeline.finra.calendar import Tier
from pipeline.models import ApiToken, Capture, Partition
from pipeline.weeks import analytics

WEEKS, SMALL = 260, 26
SYMBOL = "S4100"
FEWER = 5  # a whole partition is asked for so many times less often
MIB = 1024
UNLIMITED = 10**9
SETTINGS = {
    "ALLOWED_HOSTS": ["*"],
    "MARKETSPINE_API_READS_PER_MINUTE": UNLIMITED,
    "MARKETSPINE_API_EXPORTS_PER_HOUR": UNLIMITED,
}
Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, how it is asked, and how polars alone answers it from the files, where it could."""

    name: str
    ask: Work
    alone: Work | None = None
    is_large: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds: the first time, then the median, the 95th percentile and the median of what the process used of cores.

    The last says what a question costs where other processes want the cores, too; the database's own is not in it. `grew`:
    MiB that the process grew by at its peak.
    """

    first: float
    median: float
    p95: float
    used: float
    grew: float

    def __str__(self) -> str:
        return f"{self.first:8,.1f} {self.median:8,.1f} {self.p95:8,.1f} {self.used:8,.1f} {self.grew:5,.0f}"


def main() -> int:
    """Build, measure, print."""
    options = _options()
    with large_ledger(options.weeks), override_settings(**SETTINGS):
        newest = Partition.objects.order_by("-week_ending")[0].week_ending
        for week in (newest - timedelta(days=7), newest):
            analytics.calculate_week(week)
        print(f"{'ms: first, median, p95, used; MiB':<44} {'asked of the API':>41}   {'polars alone':>41}")
        for question in _questions(Script(), newest):
            times = max(3, options.requests // (FEWER if question.is_large else 1))
            asked = _measure(question.ask, times)
            alone = _measure(question.alone, times) if question.alone else None
            ratio = f"{asked.median / alone.median:5.2f}x" if alone else ""
            print(f"{question.name:<44} {asked}   {alone or ''!s:>41} {ratio}", flush=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=WEEKS, help="how many weeks (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=30, help="requests of each question (default: %(default)s)")
    parser.add_argument("--small", dest="weeks", action="store_const", const=SMALL, help="a tenth, for a quick try")
    return parser.parse_args()


class Script:
    """A Viewer's script: asks with a token."""

    def __init__(self) -> None:
        user = User.objects.create_user("robot")
        user.groups.add(Group.objects.get(name="Viewer"))
        _, token = ApiToken.objects.create(user=user, name="benchmark", expiry=timedelta(days=1))
        self.client, self.headers = Client(), {"Authorization": f"Bearer {token}"}

    def get(self, address: str, status: int = 200, **headers: str) -> Any:
        """The reply, which has the status."""
        reply = self.client.get(address, headers={**self.headers, **headers})
        if reply.status_code != status:
            raise RuntimeError(f"{address}: {reply.status_code}")
        return reply

    def read(self, path: str, **asked: object) -> bytes:
        """The answer to a question, to its end."""
        reply = self.get(_address(path, asked))
        return b"".join(reply) if reply.streaming else bytes(reply.content)

    def walk(self, path: str, **asked: object) -> int:
        """All pages of an answer, read as a client reads them; how many rows they have."""
        address: str | None = _address(path, asked)
        rows = 0
        while address:
            document = json.loads(self.get(address).content)
            rows += len(document["data"])
            address = document["links"].get("next")
        return rows


def _address(path: str, asked: Mapping[str, object]) -> str:
    return f"/api/v1/{path}?" + "&".join(f"{name}={value}" for name, value in asked.items())


def _questions(script: Script, newest: date) -> Iterator[Question]:
    """From those that read no file to those of which a whole partition is the answer."""
    week, tier_2 = {"week_ending": newest}, {"week_ending": newest, "tier": "NMS_TIER_2"}
    held = Capture.objects.get(partition__week_ending=newest, partition__tier="NMS_TIER_2", version=3)
    [partition], files = _files(newest, 1, "NMS_TIER_2"), _files(newest, 1)
    first = _files(newest, 1, version=1)
    yield Question("304: a partition's rows are held already", _held(script, "rows", **tier_2))
    yield Question("304: the leaderboard is held already", _held(script, "venues", **week))
    yield Question("readiness of a week", lambda: script.read("readiness", use="trading", **week))
    yield Question("leaderboard of a week", lambda: script.read("venues", **week), lambda: _leaders(files))
    yield Question(
        "leaderboard as first published",
        lambda: script.read("venues", vintage="first", **week),
        lambda: _leaders(first),
    )
    for weeks, name in ((13, "13 weeks"), (WEEKS, "five years")):
        span, read = {"symbol": SYMBOL, "weeks": weeks, "limit": 10_000}, _files(newest, weeks)
        yield Question(f"a symbol over {name}, rows", partial(script.read, "rows", **span), partial(_of_symbol, read))
        yield Question(
            f"a symbol over {name}, by week", partial(script.read, "symbols/history", **span), partial(_by_week, read)
        )
    kept = partial(script.read, f"captures/{held.capture_id}", format="parquet")
    yield Question("168,000 rows, the file as it is kept", kept, partition.read_bytes, is_large=True)
    for form, write in (("Parquet", pl.DataFrame.write_parquet), ("CSV", pl.DataFrame.write_csv)):
        asked = partial(script.read, "rows", format=form.lower(), **tier_2)
        yield Question(f"168,000 rows as {form}", asked, partial(_written, partition, write), is_large=True)
    yield Question(
        "168,000 rows as JSON, in 17 pages",
        partial(script.walk, "rows", limit=10_000, **tier_2),
        lambda: json.loads(pl.read_parquet(partition).write_json()),
        is_large=True,
    )


def _held(script: Script, path: str, **asked: object) -> Work:
    """Ask for what the script has already."""
    address = _address(path, asked)
    etag = script.get(address)["ETag"]
    return partial(script.get, address, 304, **{"If-None-Match": etag})


def _written(file: Path, write: Callable[[pl.DataFrame, Any], object]) -> bytes:
    buffer = io.BytesIO()
    write(pl.read_parquet(file), buffer)
    return buffer.getvalue()


def _files(newest: date, weeks: int, *tiers: str, version: int = 3) -> list[Path]:
    """The vintage files of the last weeks."""
    found = Capture.objects.filter(
        version=version,
        partition__week_ending__gt=newest - timedelta(weeks=weeks),
        partition__tier__in=tiers or Tier,
    )
    return [Path(default_storage.path(path)) for path in found.values_list("vintage_path", flat=True)]


def _leaders(files: list[Path]) -> str:
    of_venues = pl.scan_parquet(files).group_by("tier", "venue_kind", "mpid", "crd", "venue_name")
    summed = of_venues.agg(pl.sum("shares", "trades"), pl.col("symbol").n_unique())
    return summed.sort("tier", "venue_kind", "shares").collect().write_json()


def _of_symbol(files: list[Path]) -> str:
    return pl.scan_parquet(files).filter(pl.col("symbol") == SYMBOL).collect().write_json()


def _by_week(files: list[Path]) -> str:
    found = pl.scan_parquet(files).filter(pl.col("symbol") == SYMBOL)
    return found.group_by("week_ending", "venue_kind").agg(pl.sum("shares", "trades")).collect().write_json()


def _measure(work: Work, times: int) -> Measured:
    """Once, and then so many times."""
    before = _reset_peak()
    taken, used = zip(*(_timed(work) for _ in range(times + 1)), strict=True)
    grew = (_resident("VmHWM") - before) / MIB
    p95 = statistics.quantiles(taken[1:], n=20)[-1]
    return Measured(taken[0], statistics.median(taken[1:]), p95, statistics.median(used[1:]), grew)


def _timed(work: Work) -> tuple[float, float]:
    """Milliseconds by the clock, and of the processor."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - begun) * 1000, (time.process_time() - used) * 1000


def _reset_peak() -> int:
    """Have Linux measure the peak of this process anew; KiB that it holds now. Elsewhere 0, and no peak is told."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")  # proc(5): the peak becomes what is resident
    return _resident("VmRSS")


def _resident(name: str) -> int:
    """KiB, from the kernel's account of this process."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


if __name__ == "__main__":
    program.run(main)
