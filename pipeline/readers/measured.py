"""The measures of pairs of vintages: from the ledger, else computed from their files, once in a process."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache

from pipeline.models import Capture
from pipeline.readers.errors import ErrorKind, ReadersError
from pipeline.readers.reading import reading
from pipeline.vintages import compare, measures
from pipeline.vintages.compare import Changes
from pipeline.vintages.measures import Measure
from pipeline.weeks import revisions

Pairs = Collection[tuple[Capture, Capture]]
REMEMBERED = 4096


def measured(pairs: Pairs) -> Mapping[tuple[int, int], Mapping[str, Measure]]:
    """The measures of pairs, by their primary keys and by kind; pairs with a pruned or lost file are left out.

    ReadersError where the storage is away.
    """
    found: dict[tuple[int, int], Mapping[str, Measure]] = dict(revisions.stored(pairs))
    for before, after in pairs:
        if (before.pk, after.pk) not in found and before.pruned_at is None and after.pruned_at is None:
            try:
                found[before.pk, after.pk] = _computed(Pair(before, after))
            except ReadersError as error:
                if error.kind is ErrorKind.STORAGE_AWAY:
                    raise
    return found


class Pair:
    """Two vintages, equal by their contents: the key of computations that a process makes once."""

    def __init__(self, before: Capture, after: Capture) -> None:
        self.before, self.after = before, after
        self._said = (before.capture_id, before.content_hash, after.capture_id, after.content_hash)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pair) and self._said == other._said

    def __hash__(self) -> int:
        return hash(self._said)


@lru_cache(REMEMBERED)
def _computed(pair: Pair) -> Mapping[str, Measure]:
    with reading((pair.before, pair.after)):
        return measures.measures_of(pair.before, pair.after)


@lru_cache(REMEMBERED)
def changes_of(pair: Pair) -> Changes:
    """The rows in which two vintages differ. ReadersError."""
    with reading((pair.before, pair.after)):
        return compare.compare(pair.before, pair.after).changes
