"""What an answer says of itself before a row of it is read: the vintages, the instant, what is lacking, the versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass
from dataclasses import fields as fields_of
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from django.utils.functional import cached_property

from pipeline.finra.calendar import market_today
from pipeline.models import Capture
from pipeline.readers import fields, published
from pipeline.readers.chosen import Chosen, Missing
from pipeline.readers.positions import high_water
from pipeline.readers.questions import Question
from pipeline.readers.selectors import Selector, SelectorKind
from pipeline.weeks.analytics import CALCULATION_VERSION


@dataclass(frozen=True, slots=True)
class Input:
    """A vintage that an answer is made from. Of a kind of venues that it does not have nothing is known."""

    capture_id: str
    version: int
    week_ending: date
    tier: str
    venue_kinds: tuple[str, ...]
    content_hash: str

    @classmethod
    def of_capture(cls, capture: Capture) -> Input:
        """The vintage of a capture."""
        key = capture.partition.key
        kinds, content = capture.venue_kinds, capture.content_hash
        return cls(capture.capture_id, capture.version, key.week_ending, key.tier.value, kinds, content)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether all partitions that were asked for are in the answer, and which are not."""

    complete: bool
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class Caveat:
    """Something of an answer that who uses it should know: a code for a machine, a sentence for a person."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Pins:
    """The keywords that make the same answer again, in the place of the selector: what a walk over pages keeps."""

    position: int
    on_day: date


@dataclass(frozen=True)
class Meta:
    """What an answer says of itself.

    `as_of` is the instant asked for; of the latest that of the newest capture of the ledger, which the answer is as of, and
    `position` its place in the feed. `asked` is the question in its canonical form. `facts` are the dataset's own.
    """

    dataset: str
    as_of: datetime | None
    position: int
    selector: Selector
    inputs: tuple[Input, ...]
    coverage: Coverage
    asked: str
    on_day: date
    facts: Any = None
    calculation_version: int = CALCULATION_VERSION
    schema_version: str = fields.SCHEMA_VERSION
    source: str = fields.SOURCE
    terms: str = fields.TERMS

    @property
    def sentence(self) -> str:
        """What it is, as of when, from how many captures, and what is lacking: for a person."""
        known = f"as of {self.as_of:%Y-%m-%d %H:%M:%S} UTC" if self.as_of else "before any capture"
        inputs, lacking = len(self.inputs), len(self.coverage.missing)
        coverage = f"{lacking} partition{'s' if lacking > 1 else ''} lacking" if lacking else "complete"
        made_from = f", from {inputs} capture{'s' if inputs > 1 else ''}, {coverage}" if inputs or lacking else ""
        return f"{self.dataset}: {known}{made_from}"

    def __repr__(self) -> str:
        """In a line: its inputs may be hundreds."""
        return f"<Meta {self.sentence}; .inputs, .coverage, .as_document()>"

    @property
    def pinned(self) -> bool:
        """Whether the rows of the answer are the same for ever."""
        return self.selector.is_pinned

    @property
    def pins(self) -> Pins:
        """What makes the same answer again."""
        return Pins(self.position, self.on_day)

    @cached_property
    def digest(self) -> str:
        """A hash of all that the rows of the answer follow from."""
        said = (self.asked, self.inputs, self.coverage, self.facts, self.calculation_version, self.schema_version)
        return digest_of((self.dataset, *map(plain, said)))

    def as_document(self) -> dict[str, object]:
        """For JSON: the same in the API, beside files and in them."""
        return {
            "dataset": self.dataset,
            "as_of": plain(self.as_of),
            "position": self.position,
            "vintage": self.selector.kind.value,
            "at_age_days": self.selector.at_age_days,
            "inputs": plain(self.inputs),
            "coverage": plain(self.coverage),
            "calculation_version": self.calculation_version,
            "schema_version": self.schema_version,
            "pinned": self.pinned,
            "digest": self.digest,
            "source": self.source,
            "terms": self.terms,
            **(plain(self.facts) if self.facts is not None else {}),
        }


def meta_of(dataset: str, question: Question, chosen: Chosen, facts: Any = None, asked: Iterable[object] = ()) -> Meta:
    """The head of an answer to a question. `asked` is what the dataset asks beyond it."""
    selector = question.selector
    as_of, position = _moment(selector, chosen)
    return Meta(
        dataset=dataset,
        as_of=as_of,
        position=position,
        selector=selector,
        inputs=tuple(map(Input.of_capture, chosen.captures)),
        coverage=Coverage(not chosen.missing, chosen.missing),
        asked=json.dumps([plain(what_is_asked(question)), *map(plain, asked)], sort_keys=True),
        on_day=question.on_day,
        facts=facts,
    )


def _moment(selector: Selector, chosen: Chosen) -> tuple[datetime | None, int]:
    """The instant and the position that an answer is as of: of a pinned one nothing that changes later."""
    if not selector.is_pinned:
        newest = high_water()
        return selector.as_of or newest.known_since, newest.position
    newest_input = max(chosen.captures, key=lambda capture: capture.position or 0, default=None)
    known = (newest_input.normalized_at, newest_input.position or 0) if newest_input else (None, 0)
    position = selector.position if selector.kind is SelectorKind.POSITION else known[1]
    return selector.as_of or known[0], position or 0


def what_is_asked(question: Question) -> tuple[object, ...]:
    """A question without what its inputs and coverage say already. FINRA's clock adds its day."""
    by_day = published.day_of(question.selector) if published.is_published(question) else None
    return (question.over_all, question.venue_kind, question.symbols, question.issue_name, question.venue, by_day)


def head(dataset: str, facts: Any, asked: Iterable[object]) -> Meta:
    """The head of an answer from the ledger alone, as it is now."""
    newest = high_water()
    return Meta(
        dataset=dataset,
        as_of=newest.known_since,
        position=newest.position,
        selector=Selector(),
        inputs=(),
        coverage=Coverage(True, ()),
        asked=json.dumps([*map(plain, asked)], sort_keys=True),
        on_day=market_today(),
        facts=facts,
    )


def plain(value: Any) -> Any:
    """A value as JSON has it: decimals as text, days in ISO format, instants as RFC 3339 in UTC."""
    if value is None or isinstance(value, str | int | float):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in _names_of(type(value))}
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return _scalar(value)


@cache
def _names_of(kind: type[Any]) -> tuple[str, ...]:
    """The fields of a dataclass: five years of inputs ask for them 780 times."""
    return tuple(field.name for field in fields_of(kind))


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


def digest_of(said: object) -> str:
    """SHA-256 of what is said, as 64 hex digits."""
    return hashlib.sha256(json.dumps(plain(said), sort_keys=True).encode()).hexdigest()
