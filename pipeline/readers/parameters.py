"""The parameters: what each means and what it may be; and that a dataset is asked with those only that it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, wraps
from typing import ParamSpec, get_args, get_type_hints

from pipeline.models import data_kinds
from pipeline.readers.errors import ErrorKind, Facts, ReadersError
from pipeline.readers.meta import Caveat
from pipeline.readers.once import once
from pipeline.readers.result import Result
from pipeline.readers.selectors import Clock
from pipeline.readers.wide import Shape, Value
from pipeline.readers.wording import did_you_mean

P = ParamSpec("P")
SAMPLES = Caveat("samples", "all of this is invented data, none of it is FINRA's")


class ParameterType(StrEnum):
    """What a value is."""

    TEXT = "text"
    DAY = "day"
    INSTANT = "instant"
    WHOLE = "whole"
    NUMBER = "number"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A keyword of the functions, and the API's parameter of the same name. `many`: with commas, or as a list."""

    name: str
    type: ParameterType
    meaning: str
    many: bool = False
    choices: tuple[str, ...] = ()
    example: str = ""


def _text(name: str, meaning: str, example: str = "", *, many: bool = False) -> Parameter:
    return Parameter(name, ParameterType.TEXT, meaning, many=many, example=example)


def _choice(name: str, meaning: str, *values: str, many: bool = False) -> Parameter:
    return Parameter(name, ParameterType.CHOICE, meaning, many=many, choices=values)


def _day(name: str, meaning: str, example: str = "2026-10-23", *, many: bool = False) -> Parameter:
    return Parameter(name, ParameterType.DAY, meaning, many=many, example=example)


def _whole(name: str, meaning: str, example: str = "") -> Parameter:
    return Parameter(name, ParameterType.WHOLE, meaning, example=example)


PARAMETERS: Mapping[str, Parameter] = {
    one.name: one
    for one in (
        _day("week_ending", "weeks, by their Fridays", many=True),
        _day("from_week", "the first week of a range, by its Friday; it is in the range"),
        _day("to_week", "the last week of a range, by its Friday; it is in the range"),
        _text("weeks", "the last so many weeks of each tier that are due, or `all`", "13"),
        _choice(
            "tier",
            "tiers; ALL, where figures are computed, asks for those over all tiers",
            "NMS_TIER_1",
            "NMS_TIER_2",
            "OTC",
            "ALL",
            many=True,
        ),
        _day("on_day", "the day that decides which weeks are due; by default today in New York, or that of as_of"),
        _choice("venue_kind", "of alternative trading systems, of other firms, or of both", "ATS", "NON_ATS", "ALL"),
        _text(
            "symbol",
            "exact, in FINRA's spelling, case counts; empty for rows whose symbol is empty",
            "BRK.B",
            many=True,
        ),
        _text("issue_name", "the exact name of the issue: tells two securities with one symbol apart"),
        _text("mpid", "MPIDs of ATSs", "UBSA", many=True),
        _text("crd", "the CRD number of a venue, where FINRA gave one"),
        _text("venue_name", "the exact name of a venue, by which firms are told apart"),
        Parameter(
            "as_of",
            ParameterType.INSTANT,
            "as it was known at an instant, with its offset; a day is its end in New York",
            example="2026-11-18T00:00:00Z",
        ),
        _text("capture", "one capture, by its capture_id", "finra.otc_transparency:OTC:2026-10-23:20261130"),
        _choice("clock", "what as_of means: when rows were captured here, or when FINRA published them", *Clock),
        _choice("vintage", "the newest vintage of each partition, or the first", "latest", "first"),
        _whole("at_age_days", "each partition as it was known so many days after its own due date", "28"),
        _whole("position", "as of a position of the feed: exact, whatever commits late"),
        _choice(
            "state",
            "how a partition stands",
            "CAPTURED",
            "RESTATED",
            "ANNULLED",
            "ARCHIVED",
            "LATE",
            "NOT_YET_DUE",
            many=True,
        ),
        _choice(
            "kind",
            "why a capture was made",
            "FIRST",
            "RESTATEMENT",
            "FORCED",
            "REPARSED",
            "ANNULMENT",
            "EVIDENCE",
            many=True,
        ),
        _choice("cause", "whose doing a capture is", "SOURCE", "PARSER", "FORCED", "ANNULLED", many=True),
        _whole("after", "only what is behind a position of the feed", "8840"),
        _text("from_capture", "the capture before; by default the vintage before to_capture"),
        _text("to_capture", "the capture after"),
        Parameter("from_as_of", ParameterType.INSTANT, "the instant before"),
        Parameter("to_as_of", ParameterType.INSTANT, "the instant after; by default now"),
        _choice("change", "what became of a row", "added", "changed", "removed", many=True),
        Parameter("min_change", ParameterType.NUMBER, "only rows of which at least so many shares moved"),
        _choice(
            "sort",
            "by what venues are ordered, the greatest first; rows that are searched for: newest week first, or by shares",
            "rank",
            "shares",
            "share_change_bp",
            "rank_change",
            "average_trade_size",
            "newest",
        ),
        Parameter(
            "min_share",
            ParameterType.NUMBER,
            "only venues with at least this part of their kind: 0 to 1",
            example="0.01",
        ),
        _text("symbol_prefix", "how a symbol begins, case counts", "BRK"),
        _text("issue_contains", "a part of an issue's name, in capitals or not", "amber"),
        _text("venue_contains", "a part of a venue's name, in capitals or not", "securities"),
        _whole("top", "at most so many, in the order asked for; venues: of each tier and kind", "10"),
        _choice("shape", "a row for each venue, or a column", *Shape),
        _choice("value", "the figure in the columns of shape=wide; by default share", *Value),
        _text("q", "a symbol, another spelling of one, how one begins, or part of an issue's name", "BRK/B"),
        _choice(
            "changed_tier", "securities that were in several tiers of the last 13 weeks, or in one", "true", "false"
        ),
        _day("from_day", "the first day of a period, in New York", "2026-10-01"),
        _day("to_day", "the last day of a period, in New York; it is in the period", "2026-10-31"),
        _choice(
            "measure",
            "how much a partition moved: shares that moved, the sum, the largest share of a venue, ranks, concentration",
            "gross_change_ratio",
            "net_change_ratio",
            "largest_share_move_bp",
            "rank_changes",
            "hhi_change",
        ),
        _whole("min_verified_age", "only partitions that were seen at this age in days, or later", "182"),
        _whole("ages", "ages in days since the due date, with commas", "0,7,28"),
        _choice("use", "what the data is to be used for", "trading", "compliance", "research", many=True),
    )
}


def answering(function: Callable[P, Result]) -> Callable[P, Result]:
    """Have a function refuse keywords that it does not have, and name the one that may be meant."""

    @wraps(function)
    def checked(*args: P.args, **asked: P.kwargs) -> Result:
        allowed = parameters_of(function)
        for name in asked:
            if name not in allowed:
                raise unknown(name, function.__name__, tuple(allowed))
        return marked(function(*args, **asked))

    return checked


def marked(result: Result) -> Result:
    """An answer from a ledger of samples says so, before all else."""
    return replace(result, warnings=(SAMPLES, *result.warnings)) if _shows_samples() else result


_shows_samples = once(data_kinds.shows_samples)


@cache
def parameters_of(function: Callable[..., object]) -> Mapping[str, Parameter]:
    """The parameters of a function of the readers, by name."""
    hints = get_type_hints(function, include_extras=True)
    [asked] = get_args(hints["asked"])
    return {name: PARAMETERS[name] for name in get_type_hints(asked)}


def unknown(name: str, where: str, allowed: tuple[str, ...]) -> ReadersError:
    """That there is no such parameter, and which may be meant."""
    meant = did_you_mean(name, allowed)
    hint = f"; did you mean {meant}?" if meant else ""
    return ReadersError(
        ErrorKind.UNKNOWN_PARAMETER,
        f"{name!r} is not a parameter of {where}{hint}",
        name,
        Facts(did_you_mean=meant, allowed=allowed),
    )
