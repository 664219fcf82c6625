"""The row of requests: its places, and what FINRA asks of it. The same for one process and for a fleet."""

from __future__ import annotations

import time

import pytest
import redis

from pipeline.finra.sources.api.rate import KEYS, LocalPlaces, Pace, Places, SharedPlaces
from pipeline.finra.sources.api.retry_after import LONGEST_ASKED, retry_after
from pipeline.finra.sources.api.transport import may_pass
from pipeline.finra.sources.base import TransientSourceError

INTERVAL = 10.0  # so long that no machine is slow enough to matter


@pytest.fixture(params=["one process", "a fleet"])
def places(request: pytest.FixtureRequest) -> Places:
    if request.param == "one process":
        return LocalPlaces(INTERVAL)
    client = redis.Redis.from_url(request.getfixturevalue("redis_url"), decode_responses=True)
    client.delete(*KEYS)
    return SharedPlaces(INTERVAL, client)


def taken(places: Places, number: int) -> list[int]:
    """How far away the next places are, in whole intervals."""
    return [round(places.take().seconds / INTERVAL) for _ in range(number)]


def test_places_are_an_interval_apart(places: Places) -> None:
    assert taken(places, 4) == [0, 1, 2, 3]


def test_no_place_is_given_while_finra_has_asked_to_wait(places: Places) -> None:
    places.hold(600)
    places.hold(60)  # the longer one counts
    found = places.take()
    assert (found.is_held, round(found.seconds, -1)) == (True, 600)
    with pytest.raises(TransientSourceError, match="FINRA has asked for 600 more seconds") as caught:
        Pace(places).wait()
    assert caught.value.after is not None
    assert round(caught.value.after, -1) == 600


def test_a_short_wait_passes_in_the_row(places: Places) -> None:
    places.hold(0.05)
    Pace(places).wait()
    assert taken(places, 1) == [1]


def test_requests_refused_together_halve_the_rate_once(places: Places) -> None:
    assert taken(places, 2) == [0, 1]
    for _ in range(4):  # four connections are refused at once
        places.slow()
    assert taken(places, 3) == [2, 4, 6]


def test_the_rate_recovers(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.finra.sources.api.rate.SLOW_SECONDS", 0.05)
    places.slow()
    time.sleep(0.1)
    assert taken(places, 3) == [0, 1, 2]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "86400"}, 86_400),
        ({"retry-after": "9" * 30}, LONGEST_ASKED),
        ({"retry-after": "²"}, None),
        ({"retry-after": "Thu, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:00 +99999999999999"}, None),
        ({"retry-after": "Mon, 03 Nov 2025 00:10:00 GMT", "date": "Mon, 03 Nov 2025 00:00:00 GMT"}, 600),
        ({"retry-after": "Mon, 03 Nov 2025 00:00:00 GMT", "date": "Mon, 03 Nov 2025 00:10:00 GMT"}, 0),
        ({"retry-after": "Mon, 03 Nov 2025 00:10:00 -0000", "date": "Mon, 03 Nov 2025 00:00:00 GMT"}, 600),
    ],
)
def test_retry_after_is_read_as_a_number_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_which_answers_may_pass() -> None:
    passing = {status for status in range(200, 600) if may_pass(status)}
    assert passing == {408, 425, 429, *range(500, 600)} - {501, 505}
