"""A service that is behaving, for each test anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_finra import FinraServer
from tests.test_fake_finra.asking import small_service


@pytest.fixture
def finra() -> Iterator[FinraServer]:
    """Two small weeks, all published, no rate limit."""
    with FinraServer(small_service()) as server:
        yield server
