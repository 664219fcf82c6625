"""A real Prometheus on the product's own rules, for which time goes faster.

The product lives by a clock that is moved; Prometheus has the machine's. So the metrics also tell what time it is, rules ask
that instead of `time()`, and durations (`for`, ranges) are divided by the speed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metrics.test_deployed import RULES
from tests.services.test_slow_clients import free_port

EVERY = 0.75  # seconds of the machine between two scrapes
STEP = timedelta(minutes=10)
SPEED = STEP.total_seconds() / EVERY
NOW = "simulated_now_seconds"
DURATION = re.compile(r"(\d+)([smhd])")
RANGE = re.compile(r"\[(\d+[smhd])\]")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PATIENCE = 120


class Clock:
    """Goes on by STEP with each round of the simulation, however long that takes: work takes no time."""

    def __init__(self, begin: datetime) -> None:
        self.now, self.started_at, self._round_at = begin, time.time(), time.perf_counter()

    def go_on(self) -> None:
        """The next round: a scrape and a judgement of the rules come in between."""
        time.sleep(max(0.05, EVERY - (time.perf_counter() - self._round_at)))
        self._round_at = time.perf_counter()
        self.now += STEP


@dataclass
class Exporter:
    """Answers scrapes with the text that it was last given; with an error while it is away."""

    port: int
    text: bytes = b""
    is_away: bool = False

    def tell(self, text: bytes, now: datetime) -> None:
        """What the next scrapes get."""
        self.text = text + f"# TYPE {NOW} gauge\n{NOW} {now.timestamp()}\n".encode()


@contextmanager
def exporter() -> Iterator[Exporter]:
    """On a port of loopback."""
    told = Exporter(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(BrokenPipeError):  # a scrape that takes longer than a quarter of a second
                self.send_response(503 if told.is_away else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.end_headers()
                self.wfile.write(b"" if told.is_away else told.text)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield told
        server.shutdown()


def faster(duration: str) -> str:
    """A duration of the rules, in milliseconds of the machine."""
    found = DURATION.fullmatch(duration)
    assert found, duration
    return f"{max(1, round(int(found[1]) * UNITS[found[2]] * 1000 / SPEED))}ms"


def rules() -> dict[str, Any]:
    """The product's rules, for this speed."""
    document: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for rule in document["groups"][0]["rules"]:
        ranges = RANGE.sub(lambda found: f"[{faster(found[1])}]", rule["expr"])
        rule["expr"] = ranges.replace("time()", f"scalar(max({NOW}))")
        if "for" in rule:
            rule["for"] = faster(rule["for"])
    return document


@dataclass(frozen=True)
class Episode:
    """From when to when an alert fired; `end` is None where it still does."""

    alert: str
    severity: str
    begin: datetime
    end: datetime | None

    def __str__(self) -> str:
        until = f"{self.end:%a %H:%M}" if self.end else "still"
        return f"{self.begin:%a %H:%M} to {until:>9}  {self.severity:<8} {self.alert}"


class Prometheus:
    """The server, and what it has seen."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **parameters: object) -> Any:
        """The answer of its API."""
        url = f"{self._url}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return json.load(answer)["data"]

    def is_ready(self) -> bool:
        """Whether it answers questions yet."""
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=PATIENCE):
                return True
        except OSError:
            return False

    def fired(self, clock: Clock) -> list[Episode]:
        """Each time that an alert fired, in order."""
        firing = self._over(clock, 'max by (alertname, severity) (ALERTS{alertstate="firing"})')
        [[_, told]] = self._over(clock, f"max({NOW})")
        times = {at: datetime.fromtimestamp(now, UTC) for at, now in told}
        episodes = [episode for named, values in firing for episode in _episodes(named, values, times)]
        return sorted(episodes, key=lambda episode: episode.begin)

    def _over(self, clock: Clock, query: str) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """The values of each series of a query over the whole simulation, at instants of the machine."""
        asked = {"query": query, "start": clock.started_at, "end": time.time(), "step": EVERY}
        found = self.ask("/api/v1/query_range", **asked)["result"]
        return [(one["metric"], [(float(at), float(value)) for at, value in one["values"]]) for one in found]


def _episodes(
    named: dict[str, str], values: list[tuple[float, float]], times: dict[float, datetime]
) -> Iterator[Episode]:
    """A gap of more than two scrapes parts two of them."""
    instants = [at for at, _ in values]
    begin, newest = instants[0], max(times)
    for before, at in zip(instants, [*instants[1:], None], strict=True):
        if at is None or at - before > 2.5 * EVERY:
            end = _of(times, before + EVERY) if at is not None or newest - before > 4 * EVERY else None
            yield Episode(named["alertname"].removeprefix("MarketSpine"), named["severity"], _of(times, begin), end)
            begin = at or begin


def _of(times: dict[float, datetime], at: float) -> datetime:
    """What time it was in the simulation."""
    return times[min(times, key=lambda known: abs(known - at))]


@contextmanager
def prometheus(folder: Path, target: Exporter) -> Iterator[Prometheus]:
    """The server, scraping the exporter. The test is skipped where Prometheus is not installed."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    (folder / "rules.yml").write_text(yaml.safe_dump(rules()), encoding="utf-8")
    scraped = {
        "job_name": "marketspine",
        "static_configs": [{"targets": [f"127.0.0.1:{target.port}"], "labels": {"namespace": "bad-week"}}],
    }
    every = f"{round(EVERY * 1000)}ms"
    config = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": ["rules.yml"],
        "scrape_configs": [scraped],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    words = [
        "--config.file",
        "prometheus.yml",
        "--storage.tsdb.path",
        "tsdb",
        "--web.listen-address",
        f"127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([program, *words], cwd=folder, stdout=log, stderr=log)
        try:
            server = Prometheus(port)
            give_up = time.perf_counter() + PATIENCE
            while not server.is_ready():
                assert process.poll() is None, (folder / "prometheus.log").read_text()
                assert time.perf_counter() < give_up
                time.sleep(0.1)
            while not server.ask("/api/v1/query", query="marketspine_build_info")["result"]:
                time.sleep(0.1)
            time.sleep(2 * EVERY)  # an alert that fired for want of a first scrape is over
            yield server
        finally:
            process.terminate()
            process.wait(PATIENCE)
