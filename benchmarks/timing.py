"""Seconds by what was timed, on the clock and of this process's processor time, and their medians."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

Answer = TypeVar("Answer")


@dataclass
class Times:
    """Seconds of each round, by what was timed."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    processor: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, what: str, work: Callable[[], Answer]) -> Answer:
        """Run `work` once, keep how long it took, return its answer. Garbage is collected before, not during."""
        gc.collect()
        started, used = time.perf_counter(), time.process_time()
        answer = work()
        self.processor.setdefault(what, []).append(time.process_time() - used)
        self.seconds.setdefault(what, []).append(time.perf_counter() - started)
        return answer

    def median(self, what: str) -> float:
        """The median of the rounds, without the first, which warms up."""
        return statistics.median(self.seconds[what][1:])

    def processor_median(self, what: str) -> float:
        """The same of this process's processor time, which other processes do not change: a server's is not in it."""
        return statistics.median(self.processor[what][1:])
