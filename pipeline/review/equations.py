"""Equations that tell whether a capture's figures add up, from the ledger alone.

`review.verification.verify` goes further: it reads the archive and the rows, which takes seconds for a large tier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from pipeline.models import Capture, Family, MarketConcentration, Stage

Figure = Decimal | int


@dataclass(frozen=True, slots=True)
class Term:
    """A figure with its name; `sign` -1 subtracts it."""

    name: str
    value: Figure
    sign: int = 1


@dataclass(frozen=True, slots=True)
class Equation:
    """`left` ought to be the sum of `right`."""

    what: str
    left: Term
    right: tuple[Term, ...]

    @property
    def holds(self) -> bool:
        """Whether both sides are equal."""
        return self.left.value == sum(term.sign * term.value for term in self.right)


def equations(capture: Capture) -> list[Equation]:
    """The equations of a capture's figures, as far as it has come. Five queries at most."""
    rejected = capture.rejects.count()
    accounted = (Term("kept", capture.rows_kept), Term("rejected", capture.rows_rejected))
    always = [
        Equation("rows", Term("in the payload", capture.rows_in), accounted),
        Equation("rejects", Term("rejected", capture.rows_rejected), (Term("listed with line and reason", rejected),)),
    ]
    if capture.normalized_at is None:
        return always[:1]
    return [
        *always,
        *_against_the_vintage_before(capture),
        *_against_the_manifest(capture),
        *_against_analytics(capture),
    ]


def vintage_before(capture: Capture) -> Capture | None:
    """The vintage that a capture was compared with when its rows were stored."""
    earlier = capture.partition.captures.filter(version__lt=capture.version, normalized_at__isnull=False)
    return earlier.select_related("partition").order_by("-version").first()


def _against_the_vintage_before(capture: Capture) -> Iterator[Equation]:
    kept = Term("kept", capture.rows_kept)
    added, changed = Term("added", capture.rows_added or 0), Term("changed", capture.rows_changed or 0)
    yield Equation("rows", kept, (added, changed, Term("unchanged", capture.rows_unchanged or 0)))
    before = vintage_before(capture)
    if before is not None:
        removed = Term("removed", capture.rows_removed or 0, -1)
        yield Equation("rows", kept, (Term(f"kept in version {before.version}", before.rows_kept), added, removed))


def _against_the_manifest(capture: Capture) -> Iterator[Equation]:
    manifest = capture.manifests.filter(stage=Stage.NORMALIZED).first()
    if manifest is not None:
        yield _same("shares", capture, (Term("NORMALIZED manifest", Decimal(manifest.shares or 0)),))
        yield _same("trades", capture, (Term("NORMALIZED manifest", manifest.trades),))
        if manifest.control_shares is not None and manifest.control_trades is not None:
            yield _same("shares", capture, (Term("FINRA's totals by symbol", Decimal(manifest.control_shares)),))
            yield _same("trades", capture, (Term("FINRA's totals by symbol", manifest.control_trades),))


def _against_analytics(capture: Capture) -> Iterator[Equation]:
    """The tier's ATS and non-ATS volume in the first snapshot that was computed from the capture."""
    snapshot = capture.snapshots.order_by("sequence").first()
    if snapshot is None:
        return
    of_tier = MarketConcentration.objects.filter(snapshot=snapshot, scope=capture.partition.tier)
    markets = list(of_tier.exclude(family=Family.ALL).order_by("family"))
    names = [f"{Family(market.family).label} in snapshot {snapshot.sequence}" for market in markets]
    yield _same("shares", capture, tuple(Term(n, Decimal(m.shares or 0)) for n, m in zip(names, markets, strict=True)))
    yield _same("trades", capture, tuple(Term(n, m.trades) for n, m in zip(names, markets, strict=True)))


def _same(what: str, capture: Capture, right: tuple[Term, ...]) -> Equation:
    figure: Figure = Decimal(capture.shares or 0) if what == "shares" else capture.trades
    return Equation(what, Term("captured", figure), right)
