"""The settled age of a partition: since when it has stayed near what it was when it was last seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.finra.calendar import PartitionKey
from pipeline.readers.chains import Chain
from pipeline.readers.looks import age_of
from pipeline.readers.measured import measured
from pipeline.vintages.measures import Measure

SETTLED_WITHIN = 0.001  # of the shares: a tenth of a per cent moves no figure that anybody trades on

Moves = Mapping[tuple[int, int], Mapping[str, Measure]]
SettledAges = Mapping[tuple[PartitionKey, str], int]


def settled_ages(chains: Iterable[Chain], kinds: Iterable[str]) -> SettledAges:
    """By partition and kind of venues, the age in days since which its gross change to its newest vintage was within that.

    A vintage whose rows are not kept counts as far from the newest. ReadersError.
    """
    of_chains = list(chains)
    pairs = [(one, chain.vintages[-1]) for chain in of_chains for one in chain.vintages[:-1]]
    moves = measured(pairs)
    return {(chain.key, kind): _settled(chain, kind, moves) for chain in of_chains for kind in kinds}


def _settled(chain: Chain, kind: str, moves: Moves) -> int:
    newest = since = chain.vintages[-1]
    for one in reversed(chain.vintages[:-1]):
        if not _is_near(moves.get((one.pk, newest.pk)), kind):
            break
        since = one
    return max(0, age_of(chain.key, since.normalized_at or since.captured_at))


def _is_near(moved: Mapping[str, Measure] | None, kind: str) -> bool:
    if moved is None:
        return False
    if not moved[kind].shares_moved:
        return True
    gross = moved[kind].gross_change
    return gross is not None and gross <= SETTLED_WITHIN
