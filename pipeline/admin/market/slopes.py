"""A slope chart: a line for each venue from its share at A to its share at B."""

from __future__ import annotations

import polars as pl

from pipeline.admin.market.series import MARKS, hundredths
from pipeline.admin.shared import market_links
from pipeline.admin.shared.charts import COLOURS, Chart, chart, options_of
from pipeline.admin.shared.moves import AFTER

DRAWN = 10
PERCENT = 100


def slopes(moves: pl.DataFrame) -> Chart:
    """The shares of the largest ATSs at either side; of `moves.venue_moves`, over all tiers that are asked for."""
    ats = moves.filter(pl.col("venue_kind") == "ATS")
    either = pl.max_horizontal(pl.col("share"), pl.col(f"share{AFTER}"))
    largest = ats.sort(either, "mpid", descending=[True, False]).unique("mpid", keep="first", maintain_order=True)
    lines = [_line(at, record) for at, record in enumerate(largest.head(DRAWN).iter_rows(named=True))]
    urls = {f"{line['label']}": market_links.of_venue(f"{line['label']}") for line in lines}
    return chart("line", ["A", "B"], lines, options_of("% of ATS shares"), hundredths, urls)


def _line(at: int, record: dict[str, object]) -> dict[str, object]:
    colour = COLOURS[at % (len(COLOURS) - 1)]
    shares = [record["share"], record[f"share{AFTER}"]]
    return {
        "label": record["mpid"],
        "data": [one * PERCENT if isinstance(one, float) else None for one in shares],
        "borderColor": colour,
        "backgroundColor": colour,
        "pointStyle": MARKS[at % len(MARKS)],
        "pointRadius": 5,
        "borderWidth": 2,
    }
