"""A service on loopback, the only host that may be asked, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from pytest_django import Settings

from pipeline.notices import sending
from tests.notices.receiver import Receiver, receiving

MONDAY = datetime(2025, 12, 1, 17, tzinfo=UTC)  # noon in New York


@pytest.fixture
def receiver(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A service whose address is the secret SLACK_URL."""
    settings.MARKETSPINE_NOTIFY_HOSTS = ["127.0.0.1"]
    settings.MARKETSPINE_INSTANCE = "prod"
    monkeypatch.setattr(sending, "PAUSES", {})
    with receiving() as server:
        monkeypatch.setenv("SLACK_URL", f"{server.url}/services/T000/B000/verysecret")
        yield server


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """It is noon on a Monday in New York until the test moves it."""
    with time_machine.travel(MONDAY, tick=False) as traveller:
        yield traveller
