"""Names of a publication that the weeks around it do not know: other symbols, venues or issues than those of its tier.

Of FINRA's own weeks 83-86 % of the rows have a symbol, and an issue name, that the week beside it has, and 99.9 % of the ATS
rows an MPID. Columns that stand under each other's header, symbols in lower case and another market have hardly any.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from contextlib import suppress

import polars as pl

from pipeline.capture import current
from pipeline.capture.plausibility import FORCE, HANDFUL, VENUE_KINDS, Offer, Refusal
from pipeline.capture.surroundings import AROUND, captured_around, nearest
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.payloads import PartName, PayloadFormat
from pipeline.models import Capture
from pipeline.vintages.archive import ArchiveDamaged

NAMES = {"symbol": "a symbol", "mpid": "an MPID", "issue_name": "an issue name"}
OF_ONE_SOURCE = {"issue_name"}  # whether FINRA's outputs write it alike is not known
KNOWN = 0.5  # the share of rows whose name is known, at least
LOOKED_AT = 4096  # rows, spread over all: they tell the share within two points
FEW = 50  # rows with a name, of which a share says little
ASKED = 2  # weeks: of two, one may be the odd one


def unknown_names(offer: Offer, parts: Collection[PartName]) -> Refusal | None:
    """Why halves that come for the first time are not captured: neither of the two nearest weeks knows their names."""
    if sum(offer.rows[part] for part in parts) < HANDFUL:
        return None
    found, kinds = None, {VENUE_KINDS[part] for part in parts}
    for capture in _weeks_around(offer.key, kinds):
        found = _unknown_to(capture, _looked_at(offer, kinds.intersection(capture.venue_kinds)), offer)
        if found is None:
            return None
    return found


def _looked_at(offer: Offer, kinds: Collection[str]) -> pl.DataFrame:
    """The names of some rows of these kinds."""
    rows = offer.content.keyed.select("venue_kind", *NAMES).filter(pl.col("venue_kind").is_in(kinds))
    return rows.gather_every(max(rows.height // LOOKED_AT, 1)).select(*NAMES).cast(pl.String)


def _weeks_around(key: PartitionKey, kinds: Set[str]) -> list[Capture]:
    """The nearest captured weeks that have enough rows to tell, the nearest first.

    A week tells of the kinds that it has: firms trade securities that no ATS does.
    """
    captured = captured_around(key.week_ending, AROUND, key.tier)[key.tier]
    near = [captured[week] for week in nearest(key.week_ending, captured)]
    able = [one for one in near if one.pruned_at is None and one.rows_kept >= HANDFUL]
    asked = [one.pk for one in able if kinds & {*one.venue_kinds}][:ASKED]
    whole = Capture.objects.select_related("partition").in_bulk(asked)
    return [whole[pk] for pk in asked]


def _unknown_to(capture: Capture, rows: pl.DataFrame, offer: Offer) -> Refusal | None:
    """Why a captured week says that rows are no week of its tier; None where it does not, and where its rows are lost."""
    is_of_one_source = PayloadFormat(capture.payload_format).is_api is not bool(offer.content.parts)
    with suppress(ArchiveDamaged):
        held = current.frame_of(capture, *NAMES)
        for column, what in NAMES.items():
            if is_of_one_source or column not in OF_ONE_SOURCE:
                named, known = (frame[column].filter(frame[column] != "") for frame in (rows, held))
                count = named.is_in(known.unique().implode()).sum()
                if min(len(named), len(known)) >= FEW and count < KNOWN * len(named):
                    return _refusal(
                        f"{count:,} of {len(named):,} rows looked at ({count / len(named):.0%})", what, capture, offer
                    )
    return None


def _refusal(few: str, what: str, capture: Capture, offer: Offer) -> Refusal:
    week = f"the week ending {capture.partition.week_ending}"
    return Refusal(
        f"{few} have {what} that {week} has, and at least {KNOWN:.0%} are expected; check {offer.title}; {FORCE}"
    )
