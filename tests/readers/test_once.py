"""What the answers of one page ask alike is asked once; outside a page, and of another page, anew."""

from __future__ import annotations

import pytest

from pipeline.readers.once import once, one_page


def test_within_a_page_the_same_is_asked_once() -> None:
    asked: list[tuple[int, int]] = []

    @once
    def total(of: int, more: int = 0) -> int:
        asked.append((of, more))
        return of + more

    assert [total(1), total(1)] == [1, 1]
    assert asked == [(1, 0), (1, 0)]
    for _ in range(2):
        asked.clear()
        with one_page():
            assert [total(1), total(1), total(1, more=2), total(1, more=2), total(2)] == [1, 1, 3, 3, 2]
        assert asked == [(1, 0), (1, 2), (2, 0)]


def test_what_failed_is_asked_again() -> None:
    failures = iter([OSError("away")])

    @once
    def found() -> str:
        for error in failures:
            raise error
        return "back"

    with one_page():
        with pytest.raises(OSError, match="away"):
            found()
        assert found() == "back"
