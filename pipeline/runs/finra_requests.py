"""This process's counts of requests to FINRA go into the ledger's tally with each finished partition and each sweep."""

from __future__ import annotations

from pipeline.finra.sources.api.request_counts import Counts, counts
from pipeline.models import Tally, TallyEntry
from pipeline.resilience.connections import patiently


def record() -> None:
    """Add the counts since the last time."""
    taken = counts.take()
    if taken.requests:
        patiently(lambda: _add(taken))


def _add(taken: Counts) -> None:
    of = TallyEntry.of
    Tally.objects.add_each(
        *(of("finra_requests", n, endpoint=at, outcome=answer) for (at, answer), n in sorted(taken.requests.items())),
        *(of("finra_response_bytes", size, endpoint=at) for at, size in sorted(taken.bytes.items())),
        *(of("finra_wait_seconds", seconds, endpoint=at) for at, seconds in sorted(taken.waited.items())),
    )
