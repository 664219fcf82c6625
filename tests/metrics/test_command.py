"""`metrics`: on stdout, in a file that is whole at every moment, and on a port."""

from __future__ import annotations

import http.client
import signal
import time
from pathlib import Path

import pytest

from pipeline.metrics import exposition
from tests.management.calling import call, finish, start
from tests.metrics.scraping import parsed
from tests.services.test_slow_clients import free_port
from tests.support.engines import Ledger

PATIENCE = 120
UP: tuple[str, frozenset[tuple[str, str]]] = ("ledger_up", frozenset())


@pytest.fixture(autouse=True)
def _anew() -> None:
    exposition.collector.forget()


def test_it_prints_what_prometheus_reads(ledger: Ledger) -> None:
    ran = call("metrics")
    assert ran.code == 0
    assert parsed(ran.out.encode())[UP] == 1


def test_a_file_is_replaced_whole(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "marketspine.prom"
    file.write_text("what was there before")
    assert call("metrics", "--textfile", file).code == 0
    assert parsed(file.read_bytes())[UP] == 1
    assert [path.name for path in tmp_path.glob("*arket*")] == ["marketspine.prom"]
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--textfile", "x.txt"), "whose names end in .prom"),
        (("--textfile", "/no/such/folder/x.prom"), "the folder /no/such/folder is not there"),
        (("--listen", "9464x"), "write HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "write HOST:PORT"),
        (("--listen", "192.0.2.1:9464"), "cannot be had"),
    ],
)
def test_what_cannot_be_ends_with_2(ledger: Ledger, arguments: tuple[str, ...], told: str) -> None:
    ran = call("metrics", *arguments)
    assert ran.code == 2
    assert told in ran.err


def test_it_answers_scrapes_on_a_port_until_told_to_stop(ledger: Ledger) -> None:
    port = free_port()
    process = start(ledger, "manage.py", "metrics", "--listen", f"127.0.0.1:{port}")
    status, text = until_answered(port, "/metrics")
    assert (status, parsed(text)[UP]) == (200, 1)
    assert b"process_resident_memory_bytes" in text
    assert until_answered(port, "/livez") == (200, b"ok\n")
    assert until_answered(port, "/admin/")[0] == 404
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == 0


def until_answered(port: int, path: str) -> tuple[int, bytes]:
    give_up = time.monotonic() + PATIENCE
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except ConnectionError:
            assert time.monotonic() < give_up
            time.sleep(0.1)
        finally:
            connection.close()
