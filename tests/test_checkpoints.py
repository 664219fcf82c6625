"""Named points: a listener hears of them with what the work is about, and what it raises ends the work."""

from __future__ import annotations

import threading

import pytest

from pipeline.checkpoints import checkpoint, checkpoints, listening

Passed = list[tuple[str, tuple[object, ...]]]


@checkpoints("sum")
def added(one: int, other: int) -> int:
    checkpoint("sum.half", one)
    if other < 0:
        raise ValueError("negative")
    return one + other


def passed_by_a_sum() -> Passed:
    passed: Passed = []
    with listening(lambda point, about: passed.append((point, about))):
        assert added(1, 2) == 3
    return passed


def test_a_listener_hears_of_each_point_in_order() -> None:
    assert passed_by_a_sum() == [("sum.before", (1, 2)), ("sum.half", (1,)), ("sum.after", (1, 2))]


def test_without_a_listener_nothing_is_told() -> None:
    passed = passed_by_a_sum()
    assert added(1, 2) == 3
    assert len(passed) == 3


def test_work_that_fails_passes_no_point_after_it() -> None:
    passed: Passed = []
    with listening(lambda point, about: passed.append((point, about))), pytest.raises(ValueError, match="negative"):
        added(1, -2)
    assert [point for point, _ in passed] == ["sum.before", "sum.half"]


def test_an_error_of_a_listener_is_one_of_the_work() -> None:
    def fail(point: str, _about: tuple[object, ...]) -> None:
        raise OSError(point)

    with listening(fail), pytest.raises(OSError, match=r"sum\.before"):
        added(1, 2)


def test_other_threads_pass_the_same_points() -> None:
    passed: Passed = []
    with listening(lambda point, about: passed.append((point, about))):
        thread = threading.Thread(target=added, args=(1, 2))
        thread.start()
        thread.join()
    assert len(passed) == 3
