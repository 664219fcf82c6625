"""The datasets of the group otcMarket that the service has: their fields, their partitions and the rows of each.

A partition is known by some values before any row is read, so that a query which names a week and a tier reads that
partition alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pipeline.finra.calendar import WEEK, PartitionKey, Tier, week_ending_of, week_start_of
from tests.fake_finra.catalogue import Catalogue
from tests.fake_finra.options import Options
from tests.fake_finra.rows import CODES, FIELDS, MARKET_TYPES, NO_TIER, SUMMARY_TYPES, Row

GROUP = "otcmarket"
PARTITION_FIELDS = ("weekStartDate", "tierIdentifier")
HISTORIC_DATES = ("weekStartDate", "historicalWeek", "historicalMonth")
DETAIL_FIELDS = ("weekStartDate", "tierIdentifier", "tierDescription", "summaryTypeCode")
DETAIL_SORT_KEYS = ("summaryTypeCode", "tierIdentifier")

Known = Mapping[str, str]


@dataclass(frozen=True)
class Dataset:
    """`partitions` lists what is served on a day, oldest first, and `rows` gives the rows of one, in FINRA's own order.

    `sort_keys` must all be EQUAL-filtered before a sort is allowed. `window` marks a history: the first and last date that
    it takes on a day; it takes no sort, and no filters but those of `HISTORIC_DATES` and the tier.
    """

    name: str
    fields: tuple[str, ...]
    sort_keys: tuple[str, ...]
    partitions: Callable[[date], list[Known]]
    rows: Callable[[Known, date], Sequence[Row]]
    window: Callable[[date], tuple[date, date]] | None = None
    position: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", {name: at for at, name in enumerate(self.fields)})

    def may_filter(self, name: str) -> bool:
        """Whether a filter on the field is lawful."""
        return name in (self.fields if self.window is None else (*HISTORIC_DATES, "tierIdentifier"))


def datasets(catalogue: Catalogue, options: Options) -> dict[str, Dataset]:
    """The service's datasets by their names in lower case: FINRA's paths fold case."""
    every = (
        _weekly_summary(catalogue, options),
        _weekly_summary_historic(catalogue, options),
        _weekly_download_details(catalogue, options),
    )
    return {dataset.name.lower(): dataset for dataset in every}


def _weekly_summary(catalogue: Catalogue, options: Options) -> Dataset:
    def partitions(today: date) -> list[Known]:
        return _served(catalogue, today, 0, options.recent_weeks)

    return Dataset("weeklySummary", FIELDS, PARTITION_FIELDS, partitions, _Rows(catalogue))


def _weekly_summary_historic(catalogue: Catalogue, options: Options) -> Dataset:
    """The same rows, older than a year, and few fields to filter by (notice of 2021-03-08)."""
    named = tuple(map(options.historic_fields.spelling, HISTORIC_DATES[1:])) if options.historic_fields else ()

    def partitions(today: date) -> list[Known]:
        return [
            {**known, **_historic_dates(known)}
            for known in _served(catalogue, today, options.historic_from_weeks, options.historic_weeks)
        ]

    def rows(known: Known, today: date) -> Sequence[Row]:
        more = tuple(_historic_dates(known).values()) if named else ()
        return [(*row, *more) for row in _Rows(catalogue)(known, today)]

    def window(today: date) -> tuple[date, date]:
        return today - options.historic_weeks * WEEK, today - options.historic_from_weeks * WEEK

    return Dataset("weeklySummaryHistoric", (*FIELDS, *named), (), partitions, rows, window)


def _historic_dates(known: Known) -> Known:
    return {"historicalWeek": known["weekStartDate"], "historicalMonth": f"{known['weekStartDate'][:7]}-01"}


def _weekly_download_details(catalogue: Catalogue, options: Options) -> Dataset:
    """One row for each week, tier and summary type that is served, by either dataset.

    It has been seen sorted only with EQUAL filters on the summary type and the tier.
    """
    oldest = max(options.recent_weeks, options.historic_weeks)

    def partitions(today: date) -> list[Known]:
        return _served(catalogue, today, 0, oldest)

    return Dataset("weeklyDownloadDetails", DETAIL_FIELDS, DETAIL_SORT_KEYS, partitions, _details)


def _details(known: Known, today: date) -> Sequence[Row]:
    week, tier = known["weekStartDate"], known["tierIdentifier"]
    types = MARKET_TYPES if tier == NO_TIER else SUMMARY_TYPES
    return [(week, tier, _description(tier), summary_type) for summary_type in types]


def _description(code: str) -> str:
    tier = _tier(code)
    return "Not Applicable" if tier is None else tier.description


def _tier(code: str) -> Tier | None:
    return next((tier for tier, known in CODES.items() if known == code), None)


@dataclass(frozen=True)
class _Rows:
    catalogue: Catalogue

    def __call__(self, known: Known, today: date) -> Sequence[Row]:
        week = week_ending_of(date.fromisoformat(known["weekStartDate"]))
        tier = _tier(known["tierIdentifier"])
        if tier is None:
            return self.catalogue.market_rows(week, today)
        return self.catalogue.rows(PartitionKey(week, tier), today)


def _served(catalogue: Catalogue, today: date, newest: int, oldest: int) -> list[Known]:
    """The partitions whose week began from `newest` to `oldest` weeks ago, market-wide ones after the tiers."""
    since, until = today - oldest * WEEK, today - newest * WEEK
    complete = set(catalogue.weeks(today))
    by_week: dict[date, list[str]] = {}
    for key in catalogue.keys(today):
        by_week.setdefault(key.week_ending, []).append(CODES[key.tier])
    return [
        {"weekStartDate": start.isoformat(), "tierIdentifier": code}
        for week, codes in by_week.items()
        for start in [week_start_of(week)]
        if since <= start <= until
        for code in [*codes, *([NO_TIER] if week in complete else [])]
    ]
