"""Asking the service over a socket, with the standard library alone: no client of the project stands between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from email.message import Message
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.fake_finra import FinraServer, Options, Service, sample_service

SUMMARY = "/data/group/otcMarket/name/weeklySummary"
HISTORIC = "/data/group/otcMarket/name/weeklySummaryHistoric"
DETAILS = "/data/group/otcMarket/name/weeklyDownloadDetails"
PARTITIONS = "/partitions/group/otcMarket/name/weeklySummary"
WEEKS = (date(2025, 10, 31), date(2025, 11, 7))
TODAY = date(2025, 12, 31)  # all of both weeks is published
AS_JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class Answer:
    """A whole reply."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body; fractional numbers as decimals."""
        return json.loads(self.body, parse_float=Decimal)

    @property
    def total(self) -> int:
        """Record-Total."""
        return int(self.headers["Record-Total"])


def ask(
    server: FinraServer,
    body: object = None,
    path: str = SUMMARY,
    *,
    method: str = "POST",
    headers: Mapping[str, str] = AS_JSON,
) -> Answer:
    """One request on a connection of its own; OSError or HTTPException where the reply does not come whole."""
    address = urlsplit(server.url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=5)
    try:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, path, body=sent, headers=dict(headers))
        reply = connection.getresponse()
        return Answer(reply.status, reply.headers, reply.read())
    finally:
        connection.close()


def get(server: FinraServer, path: str, headers: Mapping[str, str] = AS_JSON) -> Answer:
    """The same by GET."""
    return ask(server, None, path, method="GET", headers=headers)


def equal(**values: str) -> list[dict[str, str]]:
    """EQUAL filters."""
    return [{"fieldName": name, "fieldValue": value, "compareType": "EQUAL"} for name, value in values.items()]


def of_partition(week_start: str, tier: str, **values: str) -> list[dict[str, str]]:
    """The EQUAL filters of a partition, and more."""
    return equal(weekStartDate=week_start, tierIdentifier=tier, **values)


def small_service(options: Options | None = None, *, today: date = TODAY) -> Service:
    """Two weeks of three securities a partition, all published, without a rate limit unless the options say so."""
    return sample_service(WEEKS, today=today, options=options or Options(requests_per_second=None))
