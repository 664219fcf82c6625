"""How much weeks of an age have moved since, in one sentence: for whoever asks whether to wait for FINRA's next word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.models import Capture
from pipeline.readers.measured import measured
from pipeline.readers.revision_profile import percentile
from pipeline.readers.revisions import RevisionsAsked, State, Triangle, question_and_triangle

ENOUGH = 20  # verified partitions, below which nothing is said
ENOUGH_FOR_A_BIAS = 30


@dataclass(frozen=True, slots=True)
class Move:
    """How much a partition moved after an age: shares that moved either way, and by how much the sum grew."""

    gross: float
    net: float


def revision_sentence(tier: str, venue_kind: str, age_days: int) -> str:
    """How much partitions of this age have moved since, as one sentence; that too few are verified, where that is so."""
    [told] = sentences({tier: moves_of(tier, venue_kind, age_days)}, venue_kind)
    return told


def sentences(moves: Mapping[str, Sequence[Move]], venue_kind: str) -> tuple[str, ...]:
    """The same of several tiers by their moves: a sentence for each, and one for all of which too few are verified."""
    told = [_sentence(_weeks(tier, venue_kind), of_one) for tier, of_one in moves.items() if len(of_one) >= ENOUGH]
    few = {tier: f"{len(of_one)}" for tier, of_one in moves.items() if len(of_one) < ENOUGH}
    if few:
        what, counts = _weeks(", ".join(few), venue_kind), ", ".join(few.values())
        told.append(f"{what}: too few verified weeks to say how much they move after this age ({counts} of {ENOUGH}).")
    return tuple(told)


def moves_of(tier: str, venue_kind: str, age_days: int) -> tuple[Move, ...]:
    """How much each verified partition of this age has moved since. ReadersError."""
    asked = RevisionsAsked(tier=tier, venue_kind=venue_kind, ages=[age_days])
    _, triangle, _, _ = question_and_triangle(asked)
    return tuple(_since(triangle, age_days, venue_kind))


def _weeks(tiers: str, venue_kind: str) -> str:
    return f"{tiers} {'' if venue_kind == 'ALL' else venue_kind.replace('_', '-') + ' '}weeks"


def _sentence(what: str, moves: Sequence[Move]) -> str:
    gross = [move.gross for move in moves]
    usual, largest = percentile(gross, 95) or 0.0, max(gross)
    bound = f"by no more than {_percent(usual)}" if usual else "not at all"
    return (
        f"{what} at this age have since moved {bound} in 95 of 100 cases ({len(moves)} verified weeks); "
        f"the largest moved by {_percent(largest)}{_bias(moves)}."
    )


def _bias(moves: Sequence[Move]) -> str:
    """Whether they grow or shrink: late reports add, which is no news. Of few it cannot be told."""
    mean = fmean(move.net for move in moves)
    if len(moves) < ENOUGH_FOR_A_BIAS or not mean:
        return ""
    return f"; on average they {'grew' if mean > 0 else 'shrank'} by {_percent(abs(mean))}"


def _since(triangle: Triangle, age: int, kind: str) -> list[Move]:
    """How much each partition that is verified at an age, and has been seen since, moved after it."""
    verified = [cell.chain for cell in triangle.cells() if cell.state is State.VERIFIED and cell.has(kind)]
    pairs: list[tuple[Capture, Capture]] = []
    for chain in verified:
        then = chain.at(age) or chain.first
        pairs.append((then, chain.vintages[-1]))
    known = measured([pair for pair in pairs if pair[0].pk != pair[1].pk])
    found = []
    for then, now in pairs:
        moved = known.get((then.pk, now.pk))
        if then.pk == now.pk:
            found.append(Move(0.0, 0.0))
        elif moved and (gross := moved[kind].gross_change) is not None:
            found.append(Move(gross, moved[kind].net_change or 0.0))
    return found


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.2g} %"
