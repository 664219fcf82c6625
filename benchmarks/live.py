"""How fast a week comes in from FINRA's API: `python -m benchmarks.live [--small]`.

One week of real size (three tiers) from the test service, in a process of its own and without a rate limit, into PostgreSQL:
rows a second, and what share of the time is the network's pages, checking, parsing and storing. The baseline of the same run
is the same pages asked for over as many connections and thrown away. Then the week as the embedded engine takes it: into
SQLite, as many partitions at once as it has threads. What the rate limit alone would take is said beside it.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import repeat
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
os.environ.setdefault("MARKETSPINE_DEMO", "1")  # what the service plays is invented
django.setup()

from django.conf import settings
from django.db import connection
from django.utils import timezone

from benchmarks import program
from benchmarks.databases import ledgers, stored_in
from pipeline.capture import ingest
from pipeline.capture.results import Times
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier, fully_due_weeks
from pipeline.finra.sources.api.access import Access
from pipeline.finra.sources.api.fields import SummaryType
from pipeline.finra.sources.api.pager import Limits, Pager
from pipeline.finra.sources.api.pages import REQUESTS
from pipeline.finra.sources.api.queries import CODES, MOST_ROWS, SUMMARY, Query, Question, data_path, of_type
from pipeline.finra.sources.api.rate import HEADROOM
from pipeline.finra.sources.api.source import FinraApi
from pipeline.finra.sources.api.transport import Transport
from pipeline.models import Outcome
from tests.support.engines import as_default

TODAY = date(2026, 1, 5)
WEEK = fully_due_weeks(1, TODAY)[0]
KEYS = [PartitionKey(WEEK, tier) for tier in Tier]
CONNECTIONS = 4
LIMIT = 20
MAX_BYTES = 2**30
CUTS = [cut.value for cut in SummaryType]


@dataclass
class Seconds:
    """What asking alone took, the processor time of a capture in this process, and how long each part of it took."""

    rows: int
    pages: int
    bare: float
    processor: float
    fetched: float
    parsed: float
    stored: float

    @property
    def whole(self) -> float:
        """From the first question to the commit."""
        return self.fetched + self.parsed + self.stored


def main() -> None:
    """Capture the week, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a small week, for a quick try")
    size = "small" if parser.parse_args().small else "real"
    with tempfile.TemporaryDirectory() as name, ledgers(Path(name)) as databases, served(size) as url:
        access = Access(url, f"{url}/fip", requests_per_second=100_000, connections=CONNECTIONS, request_seconds=600)
        with as_default(databases["postgresql"]), stored_in(f"{name}/archive"):
            report({key.tier: captured(key, access) for key in KEYS})
        with as_default(databases["sqlite"]), stored_in(f"{name}/another"):
            report_at_once(*at_once(access))


@contextmanager
def served(size: str) -> Iterator[str]:
    """The service, in its own process; its address."""
    words = ["--port", "0", "--rate", "0", "--weeks", "8", "--size", size, "--date", str(TODAY)]
    command = [sys.executable, "-u", "-m", "tests.fake_finra", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = next(match for line in process.stdout if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
            yield found[0]
        finally:
            process.terminate()


def captured(key: PartitionKey, access: Access) -> Seconds:
    """One partition; its pages are thrown away before and after."""
    pages = pages_of(key, access)
    thrown_away = partial(seconds, ask_again, access, pages, CONNECTIONS)
    before = thrown_away()
    times = Times()
    gc.collect()
    started, worked = timezone.now(), time.process_time()
    rows = ingested(key, access, times)
    return Seconds(
        rows=rows,
        pages=len(pages),
        processor=time.process_time() - worked,
        bare=(before + thrown_away()) / 2,
        fetched=_between(started, times.fetched_at),
        parsed=_between(times.fetched_at, times.parsed_at),
        stored=_between(times.parsed_at, times.stored_at),
    )


def at_once(access: Access) -> tuple[float, float]:
    """Seconds of the week, several partitions at once, and of its pages alone over as many connections."""
    pages = [page for key in KEYS for page in pages_of(key, access)]
    thrown_away = partial(seconds, ask_again, access, pages, CONNECTIONS * settings.MARKETSPINE_THREADS)
    before = thrown_away()
    with ThreadPoolExecutor(settings.MARKETSPINE_THREADS) as pool:
        whole = seconds(lambda: list(pool.map(ingested_in_a_thread, KEYS, repeat(access))))
    return whole, (before + thrown_away()) / 2


def ingested_in_a_thread(key: PartitionKey, access: Access) -> None:
    """Capture a partition over a connection to the ledger that ends with it."""
    try:
        ingested(key, access, Times())
    finally:
        connection.close()


def pages_of(key: PartitionKey, access: Access) -> list[tuple[Query, int]]:
    """The pages of a partition, read once: the service draws its rows then."""
    queries = [of_type(key, CODES[key.tier][0], cut) for cut in SummaryType]
    read = Pager(Transport(access), CONNECTIONS, Limits(10**9, 10**6), queries).read()
    assert read is not None
    return asked(read.packed.content, queries)


def ingested(key: PartitionKey, access: Access, times: Times) -> int:
    """Capture a partition; how many rows it has."""
    result = ingest.ingest(key, FinraApi(access, MAX_BYTES), Terms(run_date=TODAY), times)
    if result.outcome != Outcome.INGESTED or result.capture is None:
        raise SystemExit(f"{key}: {result.outcome}: {result.reason}")
    return result.capture.rows_kept


def asked(content: bytes, queries: list[Query]) -> list[tuple[Query, int]]:
    """The pages of a payload: of which query each is, and from which row on."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        places = [member.removesuffix(".json").split("/") for member in archive.getnames() if member != REQUESTS]
    return [(queries[CUTS.index(cut)], int(offset)) for cut, offset in places]


def seconds(work: Callable[..., object], *given: object) -> float:
    """How long some work takes."""
    gc.collect()
    started = time.perf_counter()
    work(*given)
    return time.perf_counter() - started


def _between(begin: datetime | None, end: datetime | None) -> float:
    """Seconds from one part of the work to the next."""
    if begin is None or end is None:
        raise SystemExit("a part of the work was not done")
    return (end - begin).total_seconds()


def ask_again(access: Access, pages: list[tuple[Query, int]], connections: int) -> None:
    """The same pages over as many connections, thrown away."""
    transport = Transport(access)
    with ThreadPoolExecutor(connections) as pool:
        for reply in pool.map(transport.post, repeat(data_path(SUMMARY)), questions(pages)):
            del reply


def questions(pages: list[tuple[Query, int]]) -> Iterator[Question]:
    """What is asked for each of the pages."""
    return (query.page(offset, MOST_ROWS) for query, offset in pages)


def report(measured: dict[Tier, Seconds]) -> None:
    """A line for each tier, and one for the week."""
    print(
        f"{'':12}{'rows':>9}{'pages':>7}{'seconds':>9}{'rows/s':>9}{'processor':>11}  pages  check  parse  store  all/pages"
    )
    every = list(measured.values())
    week = Seconds(*(sum(getattr(one, name) for one in every) for name in Seconds.__dataclass_fields__))
    for name, one in [*measured.items(), ("the week", week)]:
        network, check = min(one.bare, one.fetched), max(0.0, one.fetched - one.bare)
        shares = "".join(f"{part / one.whole:7.0%}" for part in (network, check, one.parsed, one.stored))
        ratio = one.whole / one.bare
        told = f"{name:12}{one.rows:9,}{one.pages:7}{one.whole:9.2f}{one.rows / one.whole:9,.0f}{one.processor:9.2f} s"
        print(f"{told}{shares}{ratio:10.2f}x")
    limited = week.pages / (LIMIT * HEADROOM)
    print(f"At {LIMIT} requests a second the week's {week.pages} pages take at least {limited:.1f} s.", flush=True)


def report_at_once(whole: float, bare: float) -> None:
    """The week as the embedded engine takes it."""
    print(
        f"{settings.MARKETSPINE_THREADS} partitions at once: {whole:.2f} s, {whole / bare:.2f}x the week's pages alone."
    )


if __name__ == "__main__":
    program.run(main)
