"""A browser at the real product, for each test one of its own; skipped where there is no Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser

from tests.browser import provision
from tests.browser.browsing import Visitor, chromium
from tests.browser.product import PASSWORD, people, served
from tests.support.engines import Engines, Ledger

ADVICE = "`make test-browser` installs it, or says why it cannot be had"


class Visits(Protocol):
    """Somebody signs in, and leaves at the end of the block: then nothing may have been wrong on any page."""

    def __call__(self, name: str) -> AbstractContextManager[Visitor]: ...


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """Chromium. While it is there, Django sees an event loop in this thread, and is told that it may be used anyhow."""
    if provision.chromium() is None:
        pytest.skip(f"there is no Chromium on this machine: {ADVICE}")
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "yes")
    with chromium() as launched:
        yield launched


@pytest.fixture
def axe() -> None:
    """Skips a test where axe is not in place."""
    if not provision.axe_is_current():
        pytest.skip(f"axe-core {provision.axe_version()} is not in .venv/axe: {ADVICE}")


@pytest.fixture
def sqlite(engines: Engines, browser: Browser) -> Iterator[Ledger]:
    """The ledger of a product in one process, with a user of each role."""
    with engines.using("sqlite") as ledger:
        people()
        yield ledger


@pytest.fixture
def visits(browser: Browser, sqlite: Ledger, source_dir: Path) -> Iterator[Visits]:
    """Visits to a product that works on the test's ledger and folders."""
    with served(sqlite) as url:

        @contextmanager
        def visiting(name: str) -> Iterator[Visitor]:
            visitor = Visitor(browser, url)
            visitor.log_in(name, PASSWORD)
            try:
                yield visitor
            except Exception as error:
                for complaint in visitor.complaints:
                    error.add_note(complaint)
                raise
            assert visitor.complaints == []
            visitor.page.close()

        yield visiting
