"""The sources as the settings describe them."""

from __future__ import annotations

import tomllib

import pytest
import redis
from pytest_django import Settings

from pipeline import VERSION
from pipeline.finra.sources.api.access import Access
from pipeline.runs import sources


@pytest.mark.parametrize(
    ("broker", "shared"),
    [
        ("memory://", ""),
        ("redis://:password@host:6379/0", "redis://:password@host:6379/0"),
        ("redis+socket:///run/redis.sock?virtual_host=1", "unix:///run/redis.sock?db=1"),
        ("rediss://host:6379/0?ssl_cert_reqs=required", "rediss://host:6379/0?ssl_cert_reqs=required"),
    ],
)
def test_a_fleet_shares_its_rate_in_its_broker(settings: Settings, broker: str, shared: str) -> None:
    settings.CELERY_BROKER_URL = broker
    assert sources.access().shared == shared
    if shared:
        redis.Redis.from_url(shared).connection_pool.make_connection()


def test_the_access_is_as_the_settings_say(settings: Settings) -> None:
    settings.MARKETSPINE_FINRA_API_URL, settings.MARKETSPINE_FINRA_TOKEN_URL = "https://a.example", "https://t.example"
    settings.MARKETSPINE_FINRA_HOSTS = ["a.example", "t.example"]
    settings.FINRA_CLIENT_ID, settings.FINRA_CLIENT_SECRET = "an-id", "a-secret"
    settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND, settings.MARKETSPINE_FINRA_CONNECTIONS = 7, 3
    settings.MARKETSPINE_FINRA_REQUEST_SECONDS, settings.MARKETSPINE_RETRY_SECONDS = 11, 30
    settings.MARKETSPINE_CONTACT, settings.CELERY_BROKER_URL = "desk@example.com", "redis://host/0"
    assert sources.access() == Access(
        api_url="https://a.example",
        token_url="https://t.example",
        hosts=("a.example", "t.example"),
        client_id="an-id",
        client_secret="a-secret",
        requests_per_second=7,
        connections=3,
        request_seconds=11,
        retry_seconds=1.5,
        shared="redis://host/0",
        user_agent=f"MarketSpine/{VERSION} (+desk@example.com)",
    )


def test_what_a_source_reads_is_its_address_or_its_folder(settings: Settings) -> None:
    assert sources.origin_of("api") == settings.MARKETSPINE_FINRA_API_URL
    assert sources.origin_of("files") == settings.MARKETSPINE_SOURCE_DIR
    assert sources.origin_of("files", "/elsewhere") == "/elsewhere"


def test_the_secret_is_in_no_text_of_the_access(settings: Settings) -> None:
    settings.FINRA_CLIENT_SECRET, settings.CELERY_BROKER_URL = "s3cr3t", "redis://:passw0rd@host/0"
    assert "s3cr3t" not in repr(sources.access())
    assert "passw0rd" not in repr(sources.access())


@pytest.mark.parametrize(
    ("contact", "told"),
    [
        ("", f"MarketSpine/{VERSION}"),
        ("desk@example.com", f"MarketSpine/{VERSION} (+desk@example.com)"),
        ("https://example.com/spine", f"MarketSpine/{VERSION} (+https://example.com/spine)"),
        ("a\r\nX-Evil: 1)", f"MarketSpine/{VERSION} (+aX-Evil: 1)"),
        ("\u00e9", f"MarketSpine/{VERSION}"),
    ],
)
def test_finra_is_told_who_asks(settings: Settings, contact: str, told: str) -> None:
    settings.MARKETSPINE_CONTACT = contact
    assert sources.access().user_agent == told


def test_the_version_is_that_of_the_project(settings: Settings) -> None:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
