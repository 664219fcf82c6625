"""Queries to FINRA: its datasets, their addresses, and the bodies of the requests (finra.md, "API")."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date

from pipeline.finra.calendar import CalendarError, PartitionKey, Tier, parse_day, week_ending_of, week_start_of
from pipeline.finra.sources.api.fields import CRD, FIELDS, MPID, SYMBOL, TIER, TYPE, UPDATED, WEEK, SummaryType

SUMMARY = "weeklySummary"
HISTORIC = "weeklySummaryHistoric"
DETAILS = "weeklyDownloadDetails"
MOST_ROWS = 5000

# The API's name of a tier, and what some of FINRA's documents call it.
CODES = {Tier.NMS_TIER_1: ("T1",), Tier.NMS_TIER_2: ("T2",), Tier.OTC: ("OTCE", "OTC")}
# Two sort fields are documented, three have been seen to work. Rows that they leave unordered are safe: each row
# has a key of its own, and there are as many as Record-Total says.
SORTED = tuple(f"+{name}" for name in (SYMBOL, MPID, CRD))

Question = dict[str, object]


@dataclass(frozen=True, slots=True)
class Query:
    """A selection of rows that is read page by page. `name` is for the archive, `expected` what each row must say."""

    name: str
    dataset: str
    selection: Question
    expected: dict[str, str]

    sort: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    def page(self, offset: int, limit: int) -> Question:
        """The body of the question for some of its rows."""
        how: Question = {"sortFields": list(self.sort)} if self.sort else {}
        which: Question = {"fields": list(self.fields)} if self.fields else {}
        return {**which, **self.selection, **how, "limit": limit, "offset": offset}

    def simpler(self) -> Query | None:
        """The query without a sort field, then without a list of fields; None for the simplest one."""
        if self.sort:
            return replace(self, sort=self.sort[:-1])
        return replace(self, fields=()) if self.fields else None

    def as_simple_as(self, other: Query | None) -> Query:
        """The query, made no more complicated than another one that FINRA accepted."""
        if other is None:
            return self
        return replace(self, sort=self.sort[: len(other.sort)], fields=self.fields if other.fields else ())


def data_path(dataset: str) -> str:
    """The path for rows."""
    return f"/data/group/otcMarket/name/{dataset}"


def partitions_path(dataset: str) -> str:
    """The path for the list of published partitions."""
    return f"/partitions/group/otcMarket/name/{dataset}"


def of_type(key: PartitionKey, code: str, summary_type: SummaryType) -> Query:
    """One cut of a partition in weeklySummary, sorted: the same rows come in the same order."""
    place = _place(key, code) | {TYPE: summary_type.value}
    return Query(summary_type.value, SUMMARY, {"compareFilters": _equal(place)}, place, SORTED, FIELDS)


def of_history(key: PartitionKey, code: str) -> Query:
    """All cuts of a partition in weeklySummaryHistoric, which knows no filter on the summary type, and no sort."""
    place = _place(key, code)
    return Query("ALL", HISTORIC, {"compareFilters": _equal(place)}, place, fields=FIELDS)


def counted(
    key: PartitionKey, code: str, cuts: Collection[SummaryType], updated: tuple[str, date] | None = None
) -> Question:
    """How many rows of some cuts a partition has, or how many whose lastUpdateDate compares so with a day.

    One row is asked for: the number is in Record-Total.
    """
    compared = _equal(_place(key, code))
    if updated is not None:
        comparison, day = updated
        compared.append({"fieldName": UPDATED, "fieldValue": day.isoformat(), "compareType": comparison})
    within = [{"fieldName": TYPE, "values": [cut.value for cut in cuts]}]
    return {"compareFilters": compared, "domainFilters": within, "limit": 1, "offset": 0}


def published_since(oldest: date) -> Query:
    """The entries of weeklyDownloadDetails from a week on, in any order."""
    since = {"fieldName": WEEK, "fieldValue": week_start_of(oldest).isoformat(), "compareType": "GTE"}
    return Query(DETAILS, DETAILS, {"compareFilters": [since]}, {})


def key_of(week_start: str, code: str) -> PartitionKey | None:
    """The partition by FINRA's names; None for market-wide rows (tier NA), and for a day that is no Monday."""
    try:
        return PartitionKey(week_ending_of(parse_day(week_start)), Tier.parse(code))
    except CalendarError:
        return None


def _place(key: PartitionKey, code: str) -> dict[str, str]:
    return {WEEK: week_start_of(key.week_ending).isoformat(), TIER: code}


def _equal(place: dict[str, str]) -> list[Question]:
    return [{"fieldName": name, "fieldValue": value, "compareType": "EQUAL"} for name, value in place.items()]
