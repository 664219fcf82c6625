"""How much is tried: a representative part with every test run, all of it with FAULTS=all (`make test-faults`)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import Phase, settings

from tests.support.engines import ENGINES

T = TypeVar("T")

EVERYTHING = os.environ.get("FAULTS", "") == "all"

# What is drawn by chance is drawn from it. A test prints it, and the same number draws the same again. Parallel workers
# inherit it, and so draw the same.
SEED = os.environ["FAULT_SEED"] = os.environ.get("FAULT_SEED", "") or str(secrets.randbelow(10**9))


def examples(some: int, of_all: int) -> settings:
    """So many examples of a slow property. A failure is told as it was met: to make it smaller would take minutes."""
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    return settings(max_examples=of_all) if EVERYTHING else settings(max_examples=some, phases=phases)


def spread(points: Sequence[T]) -> list[tuple[str, T]]:
    """Each point on one of the databases, in turns; with FAULTS=all on each of them."""
    if EVERYTHING:
        return [(engine, point) for engine in ENGINES for point in points]
    return [(ENGINES[number % len(ENGINES)], point) for number, point in enumerate(points)]
