"""`make screenshots`: the pictures of the documents, from sample data, at a fixed date, in a window of a fixed size.

Three Mondays of a desk: what there is is backfilled, FINRA restates, and on the third one file is an error page and one
is late when the schedule starts its run. Only durations differ from one making to the next.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.browser.browsing import Theme, Visitor, chromium
from tests.browser.pictures import paletted

ROOT = Path(__file__).resolve().parent.parent.parent
IMAGES = ROOT / "docs" / "images"
PASSWORD = "only for these pictures"
WIDTH, HEIGHT, DASHBOARD_HEIGHT = 1440, 1000, 2020  # the dashboard with its charts
PATIENCE = 60
DRAWN = 1500  # milliseconds after which a chart has stopped growing
FIRST, SECOND, FRIDAY, THIRD = (f"2026-11-{day:02}T15:31:00Z" for day in (9, 16, 20, 23))  # 10:31 in New York
ERROR_PAGE = "<!DOCTYPE html><html><body>Service unavailable (SAMPLE)</body></html>\n"
TOLD = "Market Spine is at "

# Questions to the ledger: what has ended of what the schedules started, which file goes bad, which pages are shown.
SCHEDULED = "SELECT count(*) FROM pipeline_run WHERE trigger = 'BEAT' AND status <> 'RUNNING'"
TO_FAIL = (
    "SELECT week_ending FROM pipeline_capture JOIN pipeline_partition ON pipeline_partition.id = partition_id "
    "WHERE kind = 'RESTATEMENT' AND tier = 'OTC' ORDER BY week_ending DESC LIMIT 1"
)
RESTATED = (
    "FROM pipeline_capture JOIN pipeline_partition ON pipeline_partition.id = partition_id "
    "WHERE kind = 'RESTATEMENT' AND last_update_date <= captured_on ORDER BY week_ending DESC, tier LIMIT 1"
)
PICTURES = {
    "partition": (
        "/admin/pipeline/partition/{}/change/",
        "SELECT partition_id FROM pipeline_anomaly WHERE category = 'UNREADABLE'",
    ),
    "difference": ("/admin/pipeline/capture/{}/difference/", f"SELECT pipeline_capture.id {RESTATED}"),
    "movement": ("/admin/pipeline/capture/{}/movement/", f"SELECT pipeline_capture.id {RESTATED}"),
    "run": ("/admin/pipeline/run/{}/change/", "SELECT max(id) FROM pipeline_run"),
}


# The analyst's pages: their names, addresses and what of the ledger stands in them.
LARGEST = "SELECT mpid FROM pipeline_venuevolume WHERE mpid <> '' GROUP BY mpid ORDER BY sum(shares) DESC LIMIT 1"
MARKET = {
    "market": ("/admin/market/", None),
    "venue": ("/admin/market/venue/?mpid={}", LARGEST),
    "symbol": ("/admin/market/symbol/?symbol=BRK.B", None),
    "restatements": ("/admin/market/restatements/", None),
    "revisions": ("/admin/market/revisions/", None),
    "compare": ("/admin/market/compare/", None),
}
SIZES = {"": (WIDTH, HEIGHT), "-phone": (390, 844)}
THEMES: tuple[Theme, ...] = ("light", "dark")


def main() -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory(prefix="marketspine-") as folder:
        desk = Desk(Path(folder))
        desk.live_through()
        with desk.served(THIRD, scheduled=3) as url, chromium() as browser:
            visitor = Visitor(browser, url, WIDTH, HEIGHT)
            visitor.log_in("operator", PASSWORD)
            take(visitor, desk)


def take(visitor: Visitor, desk: Desk) -> None:
    """The dashboard, then the other pictures."""
    IMAGES.mkdir(exist_ok=True)
    visitor.page.set_viewport_size({"width": WIDTH, "height": DASHBOARD_HEIGHT})
    shoot(visitor, "/admin/", "dashboard")
    visitor.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    for name, (path, query) in PICTURES.items():
        shoot(visitor, path.format(desk.ask(query)), name)
    take_market(visitor, desk)
    assert visitor.complaints == [], visitor.complaints


def take_market(visitor: Visitor, desk: Desk) -> None:
    """The analyst's pages, at a desk and on a phone, in both themes."""
    for name, (path, query) in MARKET.items():
        address = path.format(desk.ask(query)) if query else path
        for size, (width, height) in SIZES.items():
            visitor.page.set_viewport_size({"width": width, "height": height})
            for theme in THEMES:
                shoot(visitor, address, f"{name}{size}{'-dark' if theme == 'dark' else ''}", width, theme)


def shoot(visitor: Visitor, path: str, name: str, width: int = WIDTH, theme: Theme = "light") -> None:
    """One picture of one page."""
    visitor.open(path)
    visitor.wear(theme)
    visitor.settle()
    visitor.page.wait_for_timeout(DRAWN)
    taken = visitor.page.screenshot()
    visitor.page.goto("about:blank")
    picture = IMAGES / f"{name}.png"
    picture.write_bytes(paletted(visitor.page, taken, width))
    print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size:,} bytes")


class Desk:
    """A product in a folder of its own, whose clock is set for each command."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.database = folder / "ledger.sqlite3"
        self.environment = {
            **os.environ,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "MARKETSPINE_ARCHIVE_DIR": str(folder / "archive"),
            "MARKETSPINE_SOURCE_DIR": str(self.source),
            "MARKETSPINE_SOURCE": "samples",
            "LOGNAME": "operator",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }

    def live_through(self) -> None:
        """What happens on the Mondays, up to the run that the third one's schedule owes."""
        self.manage(FIRST, "migrate", "--verbosity", "0")
        self.manage(FIRST, "createsuperuser", "--noinput", "--username", "operator", "--email", "")
        self.publish(FIRST)
        self.manage(FIRST, "backfill", "--from", "2026-07-31", "--to", "2026-10-23")
        self.publish(SECOND)
        self.manage(SECOND, "simulate_source", str(self.source), "--restate", "0.3", "--seed", "1")
        self.manage(SECOND, "run_weekly")
        with self.served(FRIDAY, scheduled=2):  # the weekly run and the re-check are owed, and nothing afterwards
            pass
        self.publish(THIRD)
        self.manage(THIRD, "simulate_source", str(self.source), "--restate", "0.3", "--seed", "5")
        (self.source / f"otc_week_{self.ask(TO_FAIL)}.psv").write_text(ERROR_PAGE, encoding="utf-8")
        for late in self.source.glob("nms_tier_2_week_2026-10-23*"):
            late.unlink()

    def publish(self, moment: str) -> None:
        """Let the source have what is due by a moment, and was not before."""
        self.manage(moment, "simulate_source", str(self.source), "--weeks", "17")

    def manage(self, moment: str, *words: str) -> None:
        """Run a command at a moment; some end with 1, since not all is well with the samples."""
        ran = subprocess.run(
            self._words(moment, *words), env=self.environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode in {0, 1}, ran.stderr

    def _words(self, moment: str, *words: str) -> list[str]:
        return [sys.executable, "-m", "tests.browser.at", moment, *words]

    @contextmanager
    def served(self, moment: str, scheduled: int) -> Iterator[str]:
        """The address of the product from a moment on, once so many scheduled runs have ended."""
        words = self._words(moment, "serve", "--port", "0")
        with subprocess.Popen(words, env=self.environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                address = next(line for line in process.stdout if line.startswith(TOLD)).removeprefix(TOLD).strip()
                self.wait_for_runs(scheduled)
                yield address
            finally:
                process.send_signal(signal.SIGTERM)

    def ask(self, query: str) -> object:
        """The answer of the ledger to a question with one."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(query).fetchone()[0]

    def wait_for_runs(self, scheduled: int) -> None:
        """Until so many scheduled runs have ended."""
        give_up = time.monotonic() + PATIENCE
        while self.ask(SCHEDULED) != scheduled:
            assert time.monotonic() < give_up, f"{self.ask(SCHEDULED)} scheduled runs have ended, not {scheduled}"
            time.sleep(0.1)


if __name__ == "__main__":
    main()
