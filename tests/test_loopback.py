"""Which hosts are this machine."""

from __future__ import annotations

import pytest

from pipeline.loopback import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.0.9", "::1", "[::1]"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "example.com", "localhost.example.com", "128.0.0.1"])
def test_no_other_host_is_loopback(host: str) -> None:
    assert not is_loopback(host)
