"""Sentences of the revision profile for pages: what they say is found once for the same captures, looks and day."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import date
from functools import lru_cache

from django.db.models import Count, Max

from pipeline.finra.calendar import Tier, due_date, market_today
from pipeline.models import Capture, Check
from pipeline.readers.once import once
from pipeline.readers.revision_sentence import Move, moves_of, sentences

REMEMBERED = 128


def sentences_of(week_ending: date, tiers: Collection[str], kind: str) -> tuple[str, ...]:
    """How much weeks of this week's age still move, of each tier that is due. Two queries once it is known."""
    today = market_today()
    ages = {tier: (today - due_date(Tier(tier), week_ending)).days for tier in tiers}
    return sentences_at({tier: age for tier, age in ages.items() if age >= 0}, kind)


def sentences_at(ages: Mapping[str, int], kind: str) -> tuple[str, ...]:
    """How much weeks still move, of each tier at an age in days."""
    today, follows = market_today(), _follows_from() if ages else ""
    return sentences({tier: _moves(tier, kind, age, today, follows) for tier, age in ages.items()}, kind)


@lru_cache(REMEMBERED)
def _moves(tier: str, kind: str, age: int, today: date, follows: str) -> tuple[Move, ...]:
    """`today` and `follows` are in the key: after another day, vintage or look it is found anew."""
    return moves_of(tier, kind, age)


@once
def _follows_from() -> str:
    """A hash of all that sentences follow from: the vintages, which are never changed, and how many looks there were."""
    vintages = Capture.objects.normalized().order_by("position")
    looks = Check.objects.aggregate(Count("pk"), Max("pk"), Max("checked_at"))
    said = list(vintages.values_list("position", "capture_id", "content_hash")), looks
    return hashlib.sha256(repr(said).encode()).hexdigest()
