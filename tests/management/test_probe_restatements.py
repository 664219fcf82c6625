"""`manage.py probe_restatements`, and `backfill --source api`, against a FINRA on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture, Run
from pipeline.runs.estimate import Estimate
from tests.fake_finra import Catalogue, Fault, FinraServer, Kind, Options, Restatement, Samples, Service
from tests.fake_finra.restatements import redraw
from tests.live_source import product
from tests.management.calling import call
from tests.support.beginnings import bring_about
from tests.support.engines import Engines, Ledger

pytestmark = pytest.mark.usefixtures("few_rows")

WEEK, BEFORE = date(2025, 10, 3), date(2025, 9, 26)
DAY, LATER = date(2025, 11, 10), date(2026, 1, 5)
MOVED = PartitionKey(BEFORE, Tier.OTC)
BACKFILL = ("backfill", "--source", "api", "--from", BEFORE, "--to", WEEK)
SWEEP = ("probe_restatements", "--run-date", LATER)


@pytest.fixture
def on_sqlite(engines: Engines) -> Iterator[Ledger]:
    with engines.using("sqlite") as ledger:
        yield ledger


@pytest.fixture
def finra(on_sqlite: Ledger, settings: Settings) -> Iterator[FinraServer]:
    restated = Restatement(MOVED, date(2025, 12, 24), redraw("christmas"))
    catalogue = Catalogue([WEEK, BEFORE], Samples(securities=1), restatements=[restated])
    service = Service(catalogue, Options(requests_per_second=None), today=DAY)
    with FinraServer(service) as server:
        product.point_at(server, settings)
        yield server


def two_weeks(_folder: Path) -> None:
    assert call(*BACKFILL, "--run-date", DAY).code == 0


@pytest.fixture
def captured(finra: FinraServer, on_sqlite: Ledger, source_dir: Path, archive_dir: Path, copies: Path) -> FinraServer:
    bring_about(two_weeks, on_sqlite, (source_dir, archive_dir), copies)
    finra.service.today = LATER
    finra.service.log.clear()
    return finra


@pytest.mark.promise(7)
def test_a_backfill_says_what_it_will_ask_of_finra_before_it_starts(finra: FinraServer, settings: Settings) -> None:
    dry = call(*BACKFILL, "--run-date", DAY, "--mode", "dry-run")
    told = str(Estimate(6, 128, timedelta(seconds=128 * 1.4 / settings.MARKETSPINE_THREADS), 1.4, measured=False))
    assert (dry.code, dry.lines[-1]) == (0, told)
    assert not Run.objects.exists()
    ran = call(*BACKFILL, "--run-date", DAY)
    assert (ran.code, told in ran.lines, Capture.objects.count()) == (0, True, 6)
    first = Capture.objects.order_by("pk")[0]
    assert (first.source, first.payload_format) == ("api", "finra-json-pages")
    assert first.payload_uri == f"api:otcMarket/weeklySummary/{first.partition.week_ending}/{first.partition.tier}"


def test_a_sweep_captures_what_moved_and_asks_about_the_rest(captured: FinraServer) -> None:
    swept = call(*SWEEP)
    assert swept.code == 0
    (restated,) = [line for line in swept.lines if "RESTATED" in line]
    assert restated.startswith("2025-09-26 OTC         RESTATED     content changed (")
    assert [capture.partition.key for capture in Capture.objects.filter(version=2)] == [MOVED]
    asked = [entry for entry in captured.service.log.entries("weeklySummary") if entry.method == "POST"]
    questions = [entry for entry in asked if isinstance(entry.body, dict) and entry.body["limit"] == 1]
    assert len(questions) == 6 * 3
    assert "5 unchanged" in swept.out
    assert swept.lines[-1].startswith("6 partitions asked in ")


def test_a_finra_that_cannot_be_reached_ends_a_sweep_at_once(captured: FinraServer, settings: Settings) -> None:
    runs = Run.objects.count()
    settings.MARKETSPINE_FINRA_API_URL = "http://127.0.0.1:9"
    refused = call(*SWEEP)
    assert (refused.code, "the connection to FINRA failed" in refused.err, Run.objects.count()) == (2, True, runs)


@pytest.mark.promise(7)
def test_a_dry_run_asks_says_what_moved_and_writes_nothing(captured: FinraServer) -> None:
    runs = Run.objects.count()
    dry = call(*SWEEP, "--mode", "dry-run")
    assert dry.code == 0
    assert dry.lines[1].startswith("2025-09-26 OTC: moved since version 1: ")
    assert dry.lines[2].endswith("(up to 18 requests): 1 moved.")
    assert (Run.objects.count(), Capture.objects.count()) == (runs, 6)
    document = call(*SWEEP, "--mode", "dry-run", "--json").document
    ((moved,), not_asked) = document["moved"], document["not_asked"]
    assert (document["asked"], moved["partition"], not_asked) == (6, "2025-09-26 OTC", [])
    assert moved["why"].startswith("moved since version 1: ")


def test_a_question_that_fails_is_told_and_ends_with_1(captured: FinraServer) -> None:
    refused = Fault(Kind.STATUS, times=None, status=400, equal={"tierIdentifier": "T1"})
    captured.service.faults.add(refused)
    dry = call(*SWEEP, "--mode", "dry-run", "--from", WEEK, "--to", WEEK)
    assert dry.code == 1
    assert "2025-10-03 NMS_TIER_1: not asked: Cloudflare, which stands before FINRA, answered 400 to" in dry.out


def test_what_is_captured_is_asked_about_by_a_range_however_old(captured: FinraServer) -> None:
    long_after = WEEK + timedelta(weeks=53)
    captured.service.today = long_after
    ran = call(*BACKFILL, "--run-date", long_after)
    assert ran.code == 0
    assert "5 unchanged" in ran.out
    asked = [entry for entry in captured.service.log.entries("weeklySummary") if entry.method == "POST"]
    downloaded = {
        entry.body["compareFilters"][1]["fieldValue"]
        for entry in asked
        if isinstance(entry.body, dict) and entry.rows > 1
    }
    assert downloaded == {"OTCE"}  # the one that moved
    forced = call(*BACKFILL, "--run-date", long_after, "--force", "--reason", "a check")
    assert (forced.code, Capture.objects.filter(kind="FORCED").count()) == (0, 6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--force",), "--force captures without asking whether anything moved: use backfill --force"),
        (("--source", "files"), "the source 'files' cannot be asked"),
        (("--from", "2025-10-01"), "2025-10-01 is a Wednesday"),
    ],
)
def test_what_cannot_be_is_refused(captured: FinraServer, arguments: tuple[str, ...], said: str) -> None:
    refused = call(*SWEEP, *arguments)
    assert refused.code == 2
    assert said in refused.err


def test_with_nothing_captured_there_is_nothing_to_sweep(finra: FinraServer) -> None:
    refused = call(*SWEEP)
    assert (refused.code, "nothing is captured yet" in refused.err) == (2, True)
