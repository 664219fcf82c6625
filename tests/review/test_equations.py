"""Figures that ought to add up, from the ledger: they do, and they do not where somebody has changed one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.models import Capture, Manifest, Stage
from pipeline.review import equations
from tests.admin.vintages import captured, two_vintages
from tests.management.publications import OTC, content
from tests.support.engines import Ledger

pytestmark = pytest.mark.usefixtures("few_rows")


def told(capture: Capture) -> list[tuple[str, Decimal | int, list[Decimal | int], bool]]:
    """Each equation: what, its left side, its terms, and whether it holds."""
    return [
        (one.what, one.left.value, [term.sign * term.value for term in one.right], one.holds)
        for one in equations.equations(capture)
    ]


def test_rows_shares_and_trades_of_a_restatement_add_up(ledger: Ledger) -> None:
    _, second = two_vintages()

    assert told(second) == [
        ("rows", 4, [4, 0], True),
        ("rejects", 0, [0], True),
        ("rows", 4, [1, 1, 2], True),
        ("rows", 4, [4, 1, -1], True),
        ("shares", Decimal("183.750001"), [Decimal("183.750001")], True),
        ("trades", 7, [7], True),
        ("shares", Decimal("183.750001"), [Decimal("183.750001")], True),
        ("trades", 7, [7], True),
    ]


def test_a_manifest_of_other_sums_does_not_reconcile(ledger: Ledger) -> None:
    first = captured(OTC, content(OTC))
    Manifest.objects.filter(capture=first, stage=Stage.NORMALIZED).update(shares=Decimal(1))

    assert [(what, holds) for what, _, _, holds in told(first) if not holds] == [("shares", False)]


def test_of_an_archived_capture_only_the_payload_is_told(ledger: Ledger) -> None:
    archived = captured(OTC, content(OTC), normalize=False)

    assert told(archived) == [("rows", 4, [4, 0], True)]
    assert equations.vintage_before(archived) is None
