"""Tokens of executions, and telling the dead from the living."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.resilience import stopping
from pipeline.runs import liveness
from pipeline.runs.liveness import beating, is_known_dead, machine, working

HERE = machine()


def test_a_token_names_host_and_process_and_is_of_one_execution() -> None:
    with working() as first:
        pass
    with working() as second:
        assert second.rsplit(":", 2)[:2] == [HERE, str(os.getpid())]
    assert first != second


def test_an_execution_lives_until_it_is_left() -> None:
    with working() as token:
        assert not is_known_dead(token)
    assert is_known_dead(token)


def test_an_execution_that_failed_is_dead() -> None:
    def fail() -> str:
        with working() as token:
            tokens.append(token)
            raise RuntimeError

    tokens: list[str] = []
    with pytest.raises(RuntimeError):
        fail()
    assert is_known_dead(tokens[0])


def test_two_executions_of_one_process_are_told_apart() -> None:
    with working() as outer:
        with working() as inner:
            pass
        assert is_known_dead(inner)
        assert not is_known_dead(outer)


def test_another_process_is_alive_until_it_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    token = f"{HERE}:{process.pid}:abcd1234"
    assert not is_known_dead(token)

    process.communicate(b"\n")

    assert is_known_dead(token)


def test_of_another_machine_nobody_can_tell() -> None:
    assert not is_known_dead(f"not-{HERE}:{os.getpid()}:abcd1234")


def test_a_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not is_known_dead(f"{HERE}:1:abcd1234")


@pytest.fixture
def _elsewhere() -> Iterator[None]:
    """What a machine is called is found out once: here it is found out anew, and again after the test."""
    machine.cache_clear()
    yield
    machine.cache_clear()


@pytest.mark.usefixtures("_elsewhere")
def test_a_host_name_may_hold_a_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "pod:7")
    with working() as token:
        assert not is_known_dead(token)
    assert liveness.is_known_dead(token)


@pytest.mark.usefixtures("_elsewhere")
def test_two_machines_of_one_name_are_told_apart_by_their_boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with working() as token:
        pass
    other_boot = tmp_path / "boot_id"
    other_boot.write_text("another boot")
    machine.cache_clear()
    monkeypatch.setattr(liveness, "BOOT", other_boot)

    assert token.split("-")[0] == machine().split("-")[0]
    assert not is_known_dead(token)


def test_beats_are_given_while_the_work_takes_and_not_after() -> None:
    beats: list[float] = []
    third = threading.Event()

    def beat() -> bool:
        beats.append(time.monotonic())
        if len(beats) == 3:
            third.set()
        return True

    with beating(beat, 0.01):
        assert third.wait(10)
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_work_that_is_done_before_the_first_beat_gives_none() -> None:
    beats: list[int] = []

    def beat() -> bool:
        beats.append(1)
        return True

    with beating(beat, 60):
        pass
    assert beats == []


class Waits(threading.Event):
    """An event that nobody waits for: it adds up how long they would have."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.between: list[float] = []
        self._since, self._most = 0.0, most

    def wait(self, timeout: float | None = None) -> bool:
        self._since += timeout or 0
        return len(self.between) == self._most

    def beat(self) -> None:
        self.between.append(self._since)
        self._since = 0.0


def test_a_beat_that_could_not_be_given_is_given_again_at_once() -> None:
    waits, given = Waits(4), iter([False, False, True, True])

    def beat() -> bool:
        waits.beat()
        return next(given)

    liveness._beat_until(waits, beat, 60)
    assert waits.between == [60, 1, 1, 60]


def test_the_order_to_stop_is_written_at_once() -> None:
    waits = Waits(3)

    def beat() -> bool:
        waits.beat()
        stopping.order()
        return True

    try:
        liveness._beat_until(waits, beat, 60)
    finally:
        stopping.withdraw()
    assert waits.between == [60, 0.5, 60]
