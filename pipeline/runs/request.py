"""The request for a run: it decides the plan, and names the run to resume."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from django.conf import settings

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import (
    Trigger,
)


class OnlyStage(StrEnum):
    """The stages that a run works on."""

    INGEST = "ingest"
    NORMALIZE = "normalize"
    CALC = "calc"
    ALL = "all"


class Only(StrEnum):
    """The partitions of a range that a backfill takes."""

    MISSING = "missing"
    FAILED = "failed"
    CAPTURED = "captured"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request for a run. `weeks` None asks for a look-back of `lookback_weeks` (`calendar.look_back`).

    `partitions` names them one by one instead, as an operator has picked them. `origin` is the place that the source reads
    (a folder, an address, a file's hash): another origin makes it another request. With `probe`, a captured partition is
    fetched only if the source says that it moved.
    """

    command: str
    run_date: date
    tiers: tuple[Tier, ...] = tuple(Tier)
    weeks: tuple[date, ...] | None = None
    lookback_weeks: int = field(default_factory=lambda: settings.MARKETSPINE_LOOKBACK_WEEKS)
    partitions: tuple[PartitionKey, ...] | None = None
    only: Only = Only.ALL
    only_stage: OnlyStage = OnlyStage.ALL
    source: str = "files"
    origin: str = ""
    force: bool = False
    probe: bool = False
    even_before_due: bool = False
    reason: str = ""
    requested_by: str = ""
    trigger: Trigger = Trigger.CLI

    def parameters(self) -> dict[str, object]:
        """The request as a JSON object."""
        return dict(json.loads(json.dumps(asdict(self), default=str, sort_keys=True)))

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Request:
        """The request with these `parameters()`, which a run keeps."""
        weeks, named = parameters["weeks"], parameters["partitions"]
        return cls(
            command=parameters["command"],
            run_date=date.fromisoformat(parameters["run_date"]),
            tiers=tuple(map(Tier, parameters["tiers"])),
            weeks=None if weeks is None else tuple(map(date.fromisoformat, weeks)),
            lookback_weeks=parameters["lookback_weeks"],
            partitions=None if named is None else tuple(map(_key, named)),
            only=Only(parameters["only"]),
            only_stage=OnlyStage(parameters["only_stage"]),
            source=parameters["source"],
            origin=parameters["origin"],
            force=parameters["force"],
            probe=parameters["probe"],
            even_before_due=parameters["even_before_due"],
            reason=parameters["reason"],
            requested_by=parameters["requested_by"],
            trigger=Trigger(parameters["trigger"]),
        )

    @property
    def fetches(self) -> bool:
        """Whether a source is asked."""
        return self.only_stage in (OnlyStage.ALL, OnlyStage.INGEST)

    def parameters_hash(self) -> str:
        """The identity of the request, by which an interrupted run is found."""
        return hashlib.sha256(json.dumps(self.parameters(), sort_keys=True).encode()).hexdigest()


def _key(named: tuple[str, str]) -> PartitionKey:
    week_ending, tier = named
    return PartitionKey(date.fromisoformat(week_ending), Tier(tier))
