"""What is said of the rows that moved most."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.capture.late_restatements import mover
from pipeline.vintages.compare import RowChange, RowKey, RowValues

KEY = RowKey("AAPL", "Apple Inc", "UBSA", "", "", "CS")
HELD = RowValues(Decimal(100), 2, Decimal("12.5"), "2025-12-15")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (RowValues(Decimal("90.5"), 3, Decimal(11), "2025-12-16"), "100 -> 90.5 shares"),
        (RowValues(Decimal(100), 3, Decimal(11), "2025-12-16"), "2 -> 3 trades"),
        (RowValues(Decimal(100), 2, Decimal(1100), "2025-12-16"), "12.5 -> 1,100 US dollars"),
        (RowValues(Decimal(100), 2, None, "2025-12-16"), "12.5 -> none US dollars"),
        (RowValues(Decimal(100), 2, Decimal("12.5"), "2025-12-16"), "updated 2025-12-15 -> 2025-12-16"),
    ],
)
def test_a_mover_is_told_by_the_first_figure_that_moved(after: RowValues, said: str) -> None:
    assert mover(RowChange(KEY, HELD, after)) == f"AAPL at UBSA {said}"
