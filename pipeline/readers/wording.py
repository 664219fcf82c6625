"""Suggestions for words that are not allowed."""

from __future__ import annotations

import difflib
from collections.abc import Collection

OTHERS_CALL_IT = {
    "vintage_date": "as_of",
    "known_at": "as_of",
    "asof": "as_of",
    "as_of_date": "as_of",
    "realtime_start": "as_of",
    "realtime_end": "as_of",
    "snapshot": "as_of",
    "issue": "as_of",
    "issues": "as_of",
    "lag": "at_age_days",
    "age": "at_age_days",
    "capture_id": "capture",
    "version": "capture",
    "date": "week_ending",
    "week": "week_ending",
    "weekstartdate": "week_ending",
    "week_start": "week_ending",
    "start": "from_week",
    "start_date": "from_week",
    "since": "from_week",
    "end": "to_week",
    "end_date": "to_week",
    "until": "to_week",
    "ticker": "symbol",
    "symbols": "symbol",
    "venue": "mpid",
    "firm": "venue_name",
    "firm_crd": "crd",
    "market": "venue_kind",
    "kind": "venue_kind",
    "ats": "venue_kind",
    "columns": "fields",
    "select": "fields",
    "page_size": "limit",
    "per_page": "limit",
    "offset": "cursor",
    "page": "cursor",
    "order": "sort",
    "order_by": "sort",
    "updated_after": "after",
}


def did_you_mean(word: str, allowed: Collection[str]) -> str | None:
    """The allowed word that `word` means elsewhere, or that it resembles, in capitals or not; None where none is near."""
    meant = OTHERS_CALL_IT.get(word.lower())
    if meant in allowed:
        return meant
    by_plain = {one.lower(): one for one in allowed}
    near = difflib.get_close_matches(word.lower(), list(by_plain), n=1, cutoff=0.6)
    return by_plain[near[0]] if near else None
