"""This process's counts of requests to FINRA go into the ledger's tally with each finished partition and each sweep."""

from __future__ import annotations

from django.db import transaction

from pipeline.finra.sources.api.request_counts import Counts, counts
from pipeline.models import Tally
from pipeline.resilience.connections import patiently


def record() -> None:
    """Add the counts since the last time."""
    taken = counts.take()
    if taken.requests:
        patiently(lambda: _add(taken))


def _add(taken: Counts) -> None:
    with transaction.atomic():
        for (endpoint, answer), number in sorted(taken.requests.items()):
            Tally.objects.add("finra_requests", number, endpoint=endpoint, outcome=answer)
        for endpoint, size in sorted(taken.bytes.items()):
            Tally.objects.add("finra_response_bytes", size, endpoint=endpoint)
        for endpoint, seconds in sorted(taken.waited.items()):
            Tally.objects.add("finra_wait_seconds", seconds, endpoint=endpoint)
