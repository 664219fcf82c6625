"""How much each restatement of a week moved, measured once: against the vintage before it, and against the first."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import date

from pipeline.models import Capture, Revision
from pipeline.vintages import measures, store
from pipeline.vintages.measures import Measure
from pipeline.vintages.read import NoSuchVintage

logger = logging.getLogger(__name__)
FIELDS = tuple(field.name for field in fields(Measure))
Pair = tuple[int, int]  # the primary keys of the captures before and after


def measure_week(week_ending: date) -> None:
    """Measure what has not been measured of a week. A file that is lost is passed over: readers compute what lacks."""
    captures = Capture.objects.normalized().filter(partition__week_ending=week_ending, pruned_at__isnull=True)
    pairs = list(pairs_of(list(captures.select_related("partition").order_by("partition", "version"))))
    known = stored(pairs)
    for before, after in pairs:
        if (before.pk, after.pk) not in known:
            _measure(before, after)


def pairs_of(captures: Sequence[Capture]) -> Iterable[tuple[Capture, Capture]]:
    """The vintages of each partition with the one before it, and with the first; in the order of their versions."""
    chains: dict[int, list[Capture]] = {}
    for capture in captures:
        chain = chains.setdefault(capture.partition_id, [])
        if chain:
            yield chain[-1], capture
        if len(chain) > 1:
            yield chain[0], capture
        chain.append(capture)


def stored(pairs: Iterable[tuple[Capture, Capture]]) -> Mapping[Pair, dict[str, Measure]]:
    """The measures of pairs of vintages that the ledger has, by kind. One query."""
    wanted = {(before.pk, after.pk) for before, after in pairs}
    found: dict[Pair, dict[str, Measure]] = {}
    rows = Revision.objects.filter(capture__in={after for _, after in wanted}).values_list("base", "capture", *FIELDS)
    for before, after, *values in rows:
        if (before, after) in wanted:
            found.setdefault((before, after), {})[values[0]] = Measure(*values)
    return found


def _measure(before: Capture, after: Capture) -> None:
    try:
        found = measures.measures_of(before, after)
    except (NoSuchVintage, store.VintageDamaged) as error:
        logger.warning("what %s moved is not measured: %s", after, error)
        return
    Revision.objects.bulk_create(
        [Revision(capture=after, base=before, **asdict(measure)) for measure in found.values()], ignore_conflicts=True
    )
