"""/livez, /readyz and /metrics: asked by machines, by whatever address, and told nothing that is not theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from pytest_django import Settings

from marketspine import probes
from tests.support.engines import Ledger

TOKEN = "a-token-of-32-characters-or-more"


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """No answer of another test is kept."""
    probes.readiness.forget()
    yield
    probes.readiness.forget()


@pytest.fixture
def stranger(settings: Settings) -> Client:
    """Asks the site by the address of a container, over plain http, where it is the site of one name over TLS."""
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["spine.example"], True
    return Client(headers={"host": "10.0.0.5:8000"})


@pytest.mark.parametrize("address", ["/livez", "/readyz"])
def test_probes_answer_before_host_and_tls_are_looked_at(ledger: Ledger, stranger: Client, address: str) -> None:
    answer = stranger.get(address)
    assert (answer.status_code, answer.content, answer["Cache-Control"]) == (200, b"ok\n", "no-store")
    assert stranger.head(address).status_code == 200
    assert stranger.post(address).status_code == 405
    assert stranger.get("/admin/").status_code in {301, 400}


def test_a_database_that_is_not_migrated_is_not_ready(ledger: Ledger, stranger: Client) -> None:
    MigrationRecorder(connection).record_unapplied("pipeline", "0001_ledger")
    answer = stranger.get("/readyz")
    assert (answer.status_code, answer.content) == (503, b"not ready: the database is not migrated\n")
    assert stranger.get("/livez").status_code == 200


def test_an_answer_is_kept_for_five_seconds(ledger: Ledger, stranger: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stranger.get("/readyz").status_code == 200
    MigrationRecorder(connection).record_unapplied("pipeline", "0001_ledger")
    assert stranger.get("/readyz").status_code == 200
    monkeypatch.setattr(probes, "KEPT_SECONDS", 0.0)
    assert stranger.get("/readyz").status_code == 503


def test_a_database_that_is_away_is_not_ready_and_not_dead(
    ledger: Ledger, stranger: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    away = {"NAME": "/nowhere/x.sqlite3", "HOST": "127.0.0.1", "PORT": "1"}
    for name, value in away.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
    answer = stranger.get("/readyz")
    assert (answer.status_code, answer.content) == (503, b"not ready: the database does not answer\n")
    assert stranger.get("/livez").status_code == 200


def test_metrics_are_given_to_who_has_the_token(ledger: Ledger, stranger: Client, settings: Settings) -> None:
    assert stranger.get("/metrics").status_code == 404
    settings.MARKETSPINE_METRICS_TOKEN = TOKEN
    for said in ("", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ", TOKEN):
        refused = stranger.get("/metrics", headers={"Authorization": said})
        assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Bearer"), said
    given = stranger.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert given.status_code == 200
    assert b"\nmarketspine_ledger_up 1.0\n" in given.content
