"""Dates in ISO format, instants with their time zone."""

from __future__ import annotations

DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "Y-m-d H:i e"
TIME_FORMAT = "H:i"
