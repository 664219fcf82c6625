"""Nothing that is asked is ignored: each parameter of each dataset makes another answer, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from pipeline import readers
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture, capture_id_for
from pipeline.readers.answers import FUNCTIONS
from pipeline.readers.errors import ReadersError
from pipeline.weeks import readiness
from tests.readers.test_rows import kind_of
from tests.support.engines import Ledger
from tests.vintages.frames import DAY, KEY, WEEK, stored

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
BEFORE = WEEK - timedelta(days=7)
WHOLE = {"weeks": "all"}
# What each dataset is asked before a parameter more; those that are not here, for all weeks.
BASE: Mapping[str, Mapping[str, str]] = {
    "row_history": {**WHOLE, "symbol": "AAA"},
    "differences": {**WHOLE, "from_as_of": "2025-12-26T12:30:00Z"},
    "venues": {"week_ending": str(WEEK)},
    "venue_history": {**WHOLE, "mpid": "UBSA"},
    "venue_symbols": {"week_ending": str(WEEK), "mpid": "UBSA"},
    "symbol_leaders": {"week_ending": str(WEEK)},
    "symbols": {"q": "inc"},
    "symbol_history": {**WHOLE, "symbol": "AAA"},
    "symbol_venues": {**WHOLE, "symbol": "AAA"},
}
OF_CURSORS = {"on_day"}
SPANS = ("week_ending", "from_week", "to_week", "weeks")
# A value of each parameter that has to make a difference.
VALUES: Mapping[str, str] = {
    "week_ending": str(BEFORE),
    "from_week": "2025-11-21",
    "to_week": str(BEFORE),
    "weeks": "1",
    "tier": "NMS_TIER_1",
    "venue_kind": "NON_ATS",
    "symbol": "BBB",
    "issue_name": "another name",
    "mpid": "SGMT",
    "crd": "1",
    "venue_name": "A firm",
    "as_of": "2025-12-26T12:30:00Z",
    "clock": "published",
    "capture": capture_id_for(KEY, DAY, 1),
    "vintage": "first",
    "at_age_days": "1",
    "position": "1",
    "state": "LATE",
    "kind": "FORCED",
    "cause": "FORCED",
    "after": "5",
    "from_capture": "none",
    "to_capture": "none",
    "from_as_of": "2025-12-26T13:30:00Z",
    "to_as_of": "2025-12-26T12:31:00Z",
    "change": "added",
    "min_change": "1000000",
    "sort": "shares",
    "top": "1",
    "shape": "wide",
    "value": "shares",
    "q": "zzz",
    "changed_tier": "false",
    "from_day": "2025-12-27",
    "to_day": "2025-12-25",
    "measure": "rank_changes",
    "ages": "3",
    "use": "trading",
    "min_share": "0.99",
    "min_verified_age": "3000",
    "symbol_prefix": "ZZZ",
    "issue_contains": "zzz",
    "venue_contains": "zzz",
}


@pytest.fixture(autouse=True)
def _two_weeks(ledger: Ledger) -> None:
    rows = [("AAA", "UBSA", "60", 6), ("AAA", "SGMT", "40", 9), ("BBB", "A firm", "100", 4)]
    for hour, key in enumerate((KEY._replace(week_ending=BEFORE), KEY, PartitionKey(WEEK, Tier.NMS_TIER_1))):
        stored(rows, NOON + timedelta(minutes=hour), key=key)
    stored([("AAA", "UBSA", "61", 6), *rows[1:]], NOON + timedelta(hours=1))
    Capture.objects.update(last_update_date=date(2025, 12, 1))  # seen to be as first published, so verified
    for week in (WEEK, BEFORE):
        readiness.decide_week(week, DAY)


def said(name: str, asked: Mapping[str, str]) -> object:
    try:
        answer = FUNCTIONS[name](**asked)
        return answer.frame.rows(), answer.frame.columns, answer.meta.facts
    except ReadersError as error:
        return error.kind, error.parameter


def test_every_parameter_of_every_dataset_has_an_effect() -> None:
    ignored = []
    with time_machine.travel(NOON + timedelta(days=30), tick=False):
        for name, function in FUNCTIONS.items():
            base = BASE.get(name, WHOLE)
            plain = said(name, base)
            for parameter in {*readers.parameters_of(function)} - OF_CURSORS:
                kept = {one: value for one, value in base.items() if parameter not in SPANS or one != "weeks"}
                if said(name, {**kept, parameter: VALUES[parameter]}) == plain:
                    ignored.append((name, parameter))
    assert ignored == []


def test_a_capture_that_is_not_of_the_weeks_or_tiers_asked_for_is_refused() -> None:
    capture = Capture.objects.get(version=2)
    name = capture.capture_id
    assert readers.rows(capture=name, week_ending=WEEK, tier="OTC").total == 3
    for other in ({"week_ending": str(BEFORE)}, {"tier": "NMS_TIER_1"}, {"to_week": str(BEFORE)}):
        assert kind_of(lambda other=other: readers.rows(capture=name, **other)) == "invalid-parameter"  # type: ignore[misc]
        assert kind_of(lambda other=other: readers.differences(to_capture=name, **other)) == "invalid-parameter"  # type: ignore[misc]


def test_a_day_before_finra_published_has_no_weeks() -> None:
    for asked in ({"weeks": "2"}, {"weeks": "all"}, {}):
        assert readers.rows(as_of="2001-01-01", **asked).frame.is_empty()
        assert readers.venues(as_of="2001-01-01", **asked).frame.is_empty()
    with time_machine.travel(NOON, tick=False):
        fully_due = readers.readiness(weeks=2, use="trading").frame["week_ending"].to_list()
        assert fully_due == [WEEK, WEEK + timedelta(days=7)]
