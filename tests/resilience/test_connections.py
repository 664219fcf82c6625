"""A database that is away is waited for, by whoever has work in hand, until it is back or the process is to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import DatabaseError, OperationalError, transaction

from pipeline.resilience import connections, stopping
from pipeline.resilience.connections import patiently
from tests.support.engines import Ledger

AWAY = OperationalError("server closed the connection unexpectedly")
FULL = OperationalError("disk is full")


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connections, "POLL_SECONDS", 0)
    yield
    stopping.withdraw()


def failing(*errors: Exception) -> Callable[[], str]:
    """Something that fails so, and then does not."""
    left = iter(errors)

    def act() -> str:
        for error in left:
            raise error
        return "done"

    return act


def test_what_failed_without_database_is_done_with_it(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    assert patiently(failing(AWAY, AWAY, AWAY)) == "done"
    assert caplog.messages == [f"the database does not answer, and is waited for: {AWAY}"]


@pytest.mark.parametrize("error", [FULL, DatabaseError("a bug"), ZeroDivisionError()], ids=repr)
def test_what_does_not_pass_is_not_waited_for(ledger: Ledger, error: Exception) -> None:
    with pytest.raises(type(error)):
        patiently(failing(error))


def test_within_a_transaction_there_is_nothing_to_wait_for(ledger: Ledger) -> None:
    with pytest.raises(OperationalError), transaction.atomic():
        patiently(failing(AWAY))


def test_who_is_told_to_stop_waits_no_longer(ledger: Ledger) -> None:
    def act() -> None:
        stopping.order()
        raise AWAY

    with pytest.raises(OperationalError):
        patiently(act)


def test_a_database_that_is_gone_is_not_waited_for_for_ever(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LONGEST_SECONDS", 0.0)
    with pytest.raises(OperationalError):
        patiently(failing(AWAY))
