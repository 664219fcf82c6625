"""A request as it arrived and a reply as it will be sent: what all parts of the service speak of."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from email.message import Message
from enum import Enum
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

JSON = "application/json"
TEXT = "text/plain"
HTML = "text/html; charset=utf-8"


class Ending(Enum):
    """How a connection ends that is cut: with a reset, or closed as if all had been sent."""

    RESET = "reset"
    CLOSED = "closed"


@dataclass
class Asked:
    """A request. `payload` is its JSON body, None where it has none that can be read."""

    method: str
    target: str
    headers: Message
    body: bytes = b""
    client: str = ""

    @cached_property
    def path(self) -> str:
        """The path, without the query string."""
        return urlsplit(self.target).path

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query string."""
        return dict(parse_qsl(urlsplit(self.target).query))

    @cached_property
    def payload(self) -> object:
        """The body; fractional numbers as decimals."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except ValueError:
            return None

    @cached_property
    def accepts_json(self) -> bool:
        """Only a request that says so gets JSON."""
        return JSON in self.headers.get("Accept", "")

    @cached_property
    def bearer(self) -> str | None:
        """The token it carries."""
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if kind == "Bearer" else None

    @cached_property
    def basic(self) -> tuple[str, str] | None:
        """The user and password of HTTP Basic."""
        kind, _, coded = self.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = b64decode(coded, validate=True).decode().partition(":")
        except (NotBase64, UnicodeDecodeError):
            return None
        return (user, password) if kind == "Basic" else None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parts of the path, folded to lower case as FINRA folds group and dataset."""
        return tuple(part.lower() for part in self.path.strip("/").split("/"))

    @cached_property
    def dataset(self) -> str | None:
        """The dataset that the path names, in lower case: .../group/{group}/name/{dataset}."""
        return self.names[self.names.index("name") + 1] if "name" in self.names[:-1] else None

    @cached_property
    def equal(self) -> dict[str, object]:
        """The values of the EQUAL filters by field, for telling requests apart."""
        filters = self.payload.get("compareFilters") if isinstance(self.payload, dict) else None
        entries = [entry for entry in filters or [] if isinstance(entry, dict)] if isinstance(filters, list) else []
        return {
            str(entry.get("fieldName")): entry.get("fieldValue")
            for entry in entries
            if str(entry.get("compareType")).upper() == "EQUAL"
        }

    @cached_property
    def offset(self) -> int:
        """The offset it asks for; 0 where it is none."""
        given = self.payload.get("offset", 0) if isinstance(self.payload, dict) else 0
        return given if isinstance(given, int) else 0


@dataclass
class Reply:
    """A reply, and how its bytes go over the wire.

    Before anything is sent, `wait` seconds pass. A body goes in pieces of `piece` bytes with `pause` seconds after each;
    after `cut` bytes of the body (-1: before the status line) the connection ends as `ending` says.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    rows: int = 0
    wait: float = 0
    pause: float = 0
    piece: int = 0
    cut: int | None = None
    ending: Ending = Ending.RESET


def json_reply(status: int, content: object, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply of compact JSON."""
    body = json.dumps(content, separators=(",", ":")).encode()
    return Reply(status, {"Content-Type": JSON, **(headers or {})}, body)


def error_reply(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """An error in FINRA's form."""
    return json_reply(status, {"statusCode": status, "message": message}, headers)
