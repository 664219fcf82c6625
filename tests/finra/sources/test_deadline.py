"""A deadline on a source: what it lets through, and what becomes of a source that hangs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from datetime import date
from pathlib import Path

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import Payload
from pipeline.finra.sources.base import NotPublished, Source, SourceError, TransientSourceError
from pipeline.finra.sources.deadline import Deadline
from tests.support.sources_in_memory import MemorySource, psv

ROOT = Path(__file__).parents[3]
KEY = PartitionKey(date(2025, 11, 14), Tier.OTC)
OTHER = PartitionKey(date(2025, 11, 7), Tier.OTC)
ENOUGH, SHORT = 60.0, 0.2
CALLS: list[Callable[[Source], object]] = [lambda source: source.available([KEY]), lambda source: source.fetch(KEY)]
by_call = pytest.mark.parametrize("call", CALLS, ids=["available", "fetch"])


class ActingSource:
    """A source that does the same at each call, and then has nothing."""

    name = "acting"
    is_near = False

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        self._act()
        return set()

    def fetch(self, key: PartitionKey) -> Payload:
        self._act()
        raise NotPublished(f"{key}: not published")


def failing(error: BaseException) -> Source:
    def act() -> None:
        raise error

    return ActingSource(act)


def fetch_from_hung_source() -> None:
    """What a process of its own does below: it must end, although the source's thread never does."""
    try:
        Deadline(ActingSource(threading.Event().wait), SHORT).fetch(KEY)
    except TransientSourceError as error:
        print(error)


def test_what_the_source_says_comes_through() -> None:
    published = MemorySource()
    published.publish(KEY, psv())
    source: Source = Deadline(published, ENOUGH)

    assert source.name == "memory"
    assert source.available([KEY, OTHER]) == {KEY}
    assert source.fetch(KEY) is published.payloads[KEY]


@by_call
@pytest.mark.parametrize(
    "error",
    [NotPublished("not yet"), SourceError("no such folder"), TimeoutError("its own"), MemoryError(), SystemExit(3)],
    ids=repr,
)
def test_an_error_of_the_source_comes_through_as_it_is(call: Callable[[Source], object], error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        call(Deadline(failing(error), ENOUGH))
    assert raised.value is error


@by_call
def test_a_source_that_hangs_fails_at_its_deadline(call: Callable[[Source], object]) -> None:
    began = time.monotonic()
    with pytest.raises(TransientSourceError) as raised:
        call(Deadline(ActingSource(threading.Event().wait), SHORT))

    assert time.monotonic() - began >= SHORT
    assert str(raised.value) == "the source 'acting' did not answer within 0.2 seconds"


def test_a_source_that_hung_once_may_be_asked_again() -> None:
    released = threading.Event()
    source = ActingSource(released.wait)
    with pytest.raises(TransientSourceError):
        Deadline(source, SHORT).available([KEY])

    released.set()
    assert Deadline(source, ENOUGH).available([KEY]) == set()


def test_a_process_ends_although_a_source_hangs_for_ever() -> None:
    code = "from tests.finra.sources.test_deadline import fetch_from_hung_source as fetch; fetch()"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=ENOUGH
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "the source 'acting' did not answer within 0.2 seconds\n"
