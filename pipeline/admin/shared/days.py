"""The admin's form fields for days, weeks and instants, read by `finra.calendar` as everywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar

from django import forms

from pipeline.finra.calendar import CalendarError, market_today, parse_day, parse_instant, parse_week

T = TypeVar("T")
DAY_WIDGET = {"type": "date"}
INSTANT_WIDGET = {"type": "datetime-local", "step": "1"}


class DayField(forms.CharField):
    """A day, as YYYY-MM-DD; None for an optional field left empty."""

    widget = forms.DateInput(attrs=DAY_WIDGET)

    def clean(self, value: Any) -> date | None:
        """The day."""
        text = super().clean(value)
        return _read(parse_day, text) if text else None


class WeekField(forms.CharField):
    """A week ending: a Friday, as YYYY-MM-DD."""

    widget = forms.DateInput(attrs=DAY_WIDGET)

    def clean(self, value: Any) -> date:
        """The Friday; any other day is refused, with the nearest Fridays."""
        return _read(lambda text: parse_week(text, market_today()), super().clean(value))


class InstantField(forms.CharField):
    """An instant, as YYYY-MM-DD HH:MM in UTC; None for an optional field left empty."""

    widget = forms.DateTimeInput(attrs=INSTANT_WIDGET, format="%Y-%m-%dT%H:%M:%S")

    def clean(self, value: Any) -> datetime | None:
        """The instant."""
        text = super().clean(value)
        return _read(parse_instant, text) if text else None


def _read(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except CalendarError as error:
        raise forms.ValidationError(str(error)) from error
