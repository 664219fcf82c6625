"""Searching lists by the words that they show: a week, a tier, a state, a category, or stored text."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q
from django.utils.text import smart_split, unescape_string_literal

from pipeline.finra.calendar import Tier, read_day


def words(term: str) -> list[str]:
    """The words of a search; a quoted phrase is one word."""
    found = []
    for word in smart_split(term):
        quoted = word[:1] in "\"'" and len(word) > 1 and word[0] == word[-1]
        found.append(unescape_string_literal(word) if quoted else word)
    return found


def of_choices(field: str, choices: Iterable[tuple[str, str]], word: str) -> Q:
    """The rows with a choice that contains the word, as stored or as shown: `refused`, `not yet due`."""
    wanted = word.lower().replace("_", " ")
    named = [
        value for value, label in choices if wanted in value.lower().replace("_", " ") or wanted in str(label).lower()
    ]
    return Q(**{f"{field}__in": named}) if named else Q(pk__in=())


def of_partition(before: str, word: str) -> Q:
    """The rows of a week or a tier; `before` leads to the partition: "partition__", or "" for a partition itself."""
    week = read_day(word)
    of_week = Q(**{f"{before}week_ending": week}) if week else Q(pk__in=())
    return of_week | of_choices(f"{before}tier", [(tier.value, tier.value) for tier in Tier], word)
