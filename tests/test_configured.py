"""The sources as the settings describe them."""

from __future__ import annotations

import pytest
import redis
from pytest_django import Settings

from pipeline import configured


@pytest.mark.parametrize(
    ("broker", "shared"),
    [
        ("memory://", ""),
        ("redis://:password@host:6379/0", "redis://:password@host:6379/0"),
        ("redis+socket:///run/redis.sock?virtual_host=1", "unix:///run/redis.sock?db=1"),
        ("rediss://host:6379/0?ssl_cert_reqs=CERT_REQUIRED", "rediss://host:6379/0?ssl_cert_reqs=required"),
    ],
)
def test_a_fleet_shares_its_rate_in_its_broker(settings: Settings, broker: str, shared: str) -> None:
    settings.CELERY_BROKER_URL = broker
    assert configured.access().shared == shared
    if shared:
        redis.Redis.from_url(shared).connection_pool.make_connection()


def test_what_a_source_reads_is_its_address_or_its_folder(settings: Settings) -> None:
    assert configured.origin_of("api") == settings.MARKETSPINE_FINRA_API_URL
    assert configured.origin_of("files") == settings.MARKETSPINE_SOURCE_DIR
    assert configured.origin_of("files", "/elsewhere") == "/elsewhere"


def test_the_secret_is_in_no_text_of_the_access(settings: Settings) -> None:
    settings.FINRA_CLIENT_SECRET, settings.CELERY_BROKER_URL = "s3cr3t", "redis://:passw0rd@host/0"
    assert "s3cr3t" not in repr(configured.access())
    assert "passw0rd" not in repr(configured.access())
