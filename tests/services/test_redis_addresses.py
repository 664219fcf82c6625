"""The Redis that `rediss://` names is verified, and a socket is one, as broker, for results and for FINRA's rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from celery import Celery
from django.core.cache.backends.redis import RedisCache
from kombu import Connection
from kombu.exceptions import OperationalError
from pytest_django import Settings

from marketspine.addresses import broker, results_of
from marketspine.caches import cache_beside
from pipeline.metrics import engine
from pipeline.runs import sources
from tests.services.fronts import certificate, tls_in_front_of, unix_socket_in_front_of

FAILURES = (OperationalError, redis.exceptions.RedisError, OSError)


def as_broker(url: str, _settings: Settings) -> None:
    with Connection(broker(url), transport_options={"socket_connect_timeout": 5}) as connection:
        connection.default_channel.client.ping()  # type: ignore[attr-defined] # that of Redis has a client


def for_results(url: str, _settings: Settings) -> None:
    app = Celery("results", set_as_current=False)
    app.conf.update(result_backend=results_of(url))
    assert app.backend.client.ping()  # type: ignore[attr-defined] # that of Redis has a client


def for_the_rate(url: str, settings: Settings) -> None:
    settings.CELERY_BROKER_URL = broker(url)
    with redis.Redis.from_url(sources.access().shared) as client:
        assert client.ping()


def for_the_cache(url: str, _settings: Settings) -> None:
    entry = cache_beside(broker(url))
    RedisCache(entry["LOCATION"], {"OPTIONS": entry["OPTIONS"]}).get("nothing")


each_use = pytest.mark.parametrize("ask", [as_broker, for_results, for_the_rate, for_the_cache])
Ask = Callable[[str, Settings], None]


@pytest.fixture(scope="module")
def named_localhost(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"), "localhost")


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


@pytest.fixture
def tls_port(redis_url: str, named_localhost: tuple[Path, Path]) -> Iterator[int]:
    with tls_in_front_of(port_of(redis_url), *named_localhost) as listening:
        yield listening


@each_use
def test_a_server_with_a_certificate_of_an_unknown_authority_is_refused(
    settings: Settings, tls_port: int, ask: Ask
) -> None:
    with pytest.raises(FAILURES, match="certificate verify failed: self-signed certificate"):
        ask(f"rediss://localhost:{tls_port}/0", settings)


@each_use
def test_a_server_with_the_certificate_of_another_is_refused(
    settings: Settings, tls_port: int, named_localhost: tuple[Path, Path], ask: Ask
) -> None:
    with pytest.raises(FAILURES, match=r"certificate is not valid for '127\.0\.0\.1'"):
        ask(f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={named_localhost[0]}", settings)


@each_use
@pytest.mark.parametrize(
    "options", ["ssl_ca_certs={}", "ssl_ca_certs={}&ssl_cert_reqs=CERT_REQUIRED", "ssl_cert_reqs=none"]
)
def test_a_server_that_is_verified_or_need_not_be_is_asked(
    settings: Settings, tls_port: int, named_localhost: tuple[Path, Path], ask: Ask, options: str
) -> None:
    ask(f"rediss://localhost:{tls_port}/0?{options.format(named_localhost[0])}", settings)


@each_use
def test_the_name_of_the_server_need_not_be_verified(
    settings: Settings, tls_port: int, named_localhost: tuple[Path, Path], ask: Ask
) -> None:
    ask(f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={named_localhost[0]}&ssl_check_hostname=no", settings)


@each_use
def test_a_unix_socket_is_asked(settings: Settings, redis_url: str, tmp_path: Path, ask: Ask) -> None:
    with unix_socket_in_front_of(port_of(redis_url), tmp_path / "redis.sock"):
        ask(f"redis+socket://{tmp_path}/redis.sock?virtual_host=0", settings)


def test_the_metrics_ask_a_broker_at_a_unix_socket(settings: Settings, redis_url: str, tmp_path: Path) -> None:
    settings.CELERY_BROKER_URL = broker(f"redis+socket://{tmp_path}/redis.sock?virtual_host=0")
    with unix_socket_in_front_of(port_of(redis_url), tmp_path / "redis.sock"):
        asked = {sample.name: sample.value for sample in engine.read_broker()}
    assert asked == {"broker_up": 1, "queue_length": 0}
