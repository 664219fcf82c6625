"""Requests to FINRA are counted by what came of them; a good weekly run asks the dead man's switch."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.engine import ping
from pipeline.finra.sources.api.request_counts import counts
from pipeline.finra.sources.base import SourceError
from pipeline.models import Run
from pipeline.runs import finra_requests
from tests.fake_finra import Fault, Kind
from tests.finra.sources.api.asking import KEY, client_of, finra
from tests.management.calling import call
from tests.management.publications import DAY, TIER_1, WEEK, publish_week
from tests.metrics.scraping import Scrape
from tests.support.engines import Ledger

FAULTS = [
    (Fault(Kind.STORM, 1, retry_after="0"), "throttled"),
    (Fault(Kind.STATUS, 1, status=503), "server_error"),
    (Fault(Kind.STATUS, 1, status=403), "forbidden"),
    (Fault(Kind.STATUS, 1, status=400), "client_error"),
    (Fault(Kind.UNAUTHORIZED, 1), "unauthorized"),
    (Fault(Kind.RESET_AT_ONCE, 1), "connection"),
    (Fault(Kind.GARBLED_GZIP, 1), "bad_payload"),
]


def test_requests_are_counted_by_their_answers(ledger: Ledger) -> None:
    counts.take()
    with finra() as server:
        for fault, _ in FAULTS:
            server.service.faults.add(fault)
            with suppress(SourceError):
                client_of(server).fetch(KEY)
    finra_requests.record()
    scrape = Scrape()
    told = {
        outcome: number for (_, outcome), number in scrape.of("finra_requests_total", "endpoint", "outcome").items()
    }
    assert {outcome: told.get(outcome) for _, outcome in FAULTS} == {outcome: 1 for _, outcome in FAULTS}
    assert told["ok"] > 5
    assert (scrape("finra_response_bytes_total", endpoint="data") or 0) > 100
    assert (scrape("finra_wait_seconds_total", endpoint="data") or 0) > 0
    finra_requests.record()
    assert Scrape().of("finra_requests_total", "outcome") == scrape.of("finra_requests_total", "outcome")


def test_requests_for_tokens_are_counted_apart(ledger: Ledger) -> None:
    counts.take()
    with finra(client_secret="secret") as server:
        client_of(server, client_id="client", client_secret="secret").fetch(KEY)
    finra_requests.record()
    assert Scrape()("finra_requests_total", endpoint="token", outcome="ok") == 1


@contextmanager
def switch(status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """The address of a dead man's switch that answers so, and what it was asked."""
    asked: list[str] = []

    class Switch(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Switch) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ping/a-secret-id", asked
        server.shutdown()


def test_a_good_weekly_run_asks_the_switch_and_a_failed_one_does_not(
    ledger: Ledger, source_dir: Path, settings: Settings
) -> None:
    with switch() as (url, asked):
        settings.MARKETSPINE_PING_URL = url
        assert call("run_weekly", "--weeks", WEEK, "--run-date", DAY).code == 1  # nothing is published
        assert asked == []
        publish_week(source_dir)
        assert call("run_weekly", "--weeks", WEEK, "--run-date", DAY).code == 0
        assert asked == ["/ping/a-secret-id"]
        assert call("backfill", "--weeks", WEEK, "--tiers", TIER_1.tier, "--run-date", DAY).code == 0
        assert asked == ["/ping/a-secret-id"]


@pytest.mark.parametrize("status", [500, 302])
def test_a_switch_that_fails_changes_nothing_and_its_address_is_not_told(
    settings: Settings, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    run = Run(command="run_weekly", status="SUCCEEDED", pk=7)
    with switch(status) as (url, asked):
        settings.MARKETSPINE_PING_URL = url
        ping.after(run)
    assert asked == ["/ping/a-secret-id"]
    settings.MARKETSPINE_PING_URL = "http://127.0.0.1:1/ping/a-secret-id"
    ping.after(run)
    assert [record.levelname for record in caplog.records if record.name == "pipeline.engine.ping"] == ["WARNING"] * 2
    assert "a-secret-id" not in caplog.text
