"""The request of a run in words: its stored parameters as a person would say them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from pipeline.admin.shared import figures
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Run
from pipeline.runs.request import Only, OnlyStage, Request

WEEK = timedelta(days=7)
NAMED_AT_MOST = 12

STAGES = {
    OnlyStage.ALL: "fetch, store the rows, compute the weeks",
    OnlyStage.INGEST: "fetch and archive only; rows are stored later",
    OnlyStage.NORMALIZE: "read the archived payloads again",
    OnlyStage.CALC: "compute the weeks from what is captured",
}
PROBING = "ask whether each moved, fetch what did, compute the weeks"
TAKEN = {
    Only.ALL: "all of them",
    Only.CAPTURED: "those that are captured",
    Only.MISSING: "those that are not captured",
    Only.FAILED: "those whose last try failed",
}


def in_words(run: Run) -> list[tuple[str, str]]:
    """Each parameter in words. Parameters that this version cannot read are shown as they are stored."""
    try:
        request = Request.from_parameters(run.parameters)
    except (KeyError, TypeError, ValueError):
        return [("Parameters", as_stored(run))]
    return list(_lines(request))


def as_stored(run: Run) -> str:
    """The parameters as JSON."""
    return json.dumps(run.parameters, indent=2, sort_keys=True)


def _lines(request: Request) -> Iterator[tuple[str, str]]:
    yield "Of", _what(request)
    yield "Today, for due dates", request.run_date.isoformat()
    yield "Work", PROBING if request.probe else STAGES[request.only_stage]
    if request.fetches:
        yield "Source", f"{request.source}: {request.origin}" if request.origin else request.source
    if request.only is not Only.ALL:
        yield "Partitions", TAKEN[request.only]
    if request.force:
        yield "Forced", "captured whether it changed or not"
    if request.even_before_due:
        yield "Before its day", "tried although not yet due"


def _what(request: Request) -> str:
    if request.partitions is not None:
        return _named(request.partitions)
    tiers = "all tiers" if set(request.tiers) == set(Tier) else ", ".join(request.tiers)
    if request.weeks is not None:
        return f"{ranges(request.weeks)}, {tiers}"
    return f"the last {request.lookback_weeks} weeks of which every tier is due, and newer ones, {tiers}"


def _named(keys: Sequence[PartitionKey]) -> str:
    """The partitions by name, as many as fit."""
    names = ", ".join(map(str, keys[:NAMED_AT_MOST]))
    more = len(keys) - NAMED_AT_MOST
    return f"{names} and {figures.number(more)} more" if more > 0 else names


def ranges(weeks: Sequence[date]) -> str:
    """Weeks as ranges: "2025-10-31 to 2025-11-14 (3 weeks), 2025-12-05"."""
    spans: list[list[date]] = []
    for week in sorted(set(weeks)):
        if spans and week - spans[-1][-1] == WEEK:
            spans[-1].append(week)
        else:
            spans.append([week])
    return ", ".join(_span(span) for span in spans) or "no week"


def _span(span: Sequence[date]) -> str:
    return f"{span[0]}" if len(span) == 1 else f"{span[0]} to {span[-1]} ({len(span)} weeks)"
