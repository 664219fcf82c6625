"""Cursors: opaque, signed texts with the place of a page's last row, the pinned vintages and the question.

A page begins behind a place and not after a number of rows: so no row is lost or seen twice, whatever is captured
meanwhile. The first page of the latest data pins a position of the feed, and the pages after it read as of that position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date

from django.core import signing

from pipeline.readers.result import Place

SALT = "marketspine.api.cursor.1"
LONGEST = 8000  # letters: a place has at most a dozen texts, the longest of some hundred letters
SCALARS = (str, int, float, bool, type(None))


class BadCursor(Exception):
    """The text is no cursor of ours."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """`after` is the place of the last row sent; `position` that of the feed which the walk reads as of (None where the
    question itself names the vintages), `on_day` the day that decides what is due; `question` and `inputs` are digests of
    what was asked, and of the captures that the first page read."""

    after: Place
    position: int | None
    on_day: date
    question: str
    inputs: str

    def sealed(self) -> str:
        """The cursor as text for an address."""
        plain = asdict(self) | {"on_day": self.on_day.isoformat()}
        return _signer().sign_object(plain, compress=True)


def opened(text: str) -> Cursor:
    """The cursor in a text; BadCursor when the text was changed, or signed with another key."""
    if len(text) > LONGEST:
        raise BadCursor
    try:
        plain = _signer().unsign_object(text)
        after = tuple(plain["after"])
        if not all(isinstance(value, SCALARS) for value in after):
            raise BadCursor
        day = date.fromisoformat(plain["on_day"])
        return Cursor(after, plain["position"], day, plain["question"], plain["inputs"])
    except (signing.BadSignature, KeyError, TypeError, ValueError) as error:
        raise BadCursor from error


def _signer() -> signing.Signer:
    """A signer without time stamps, so that the same page has the same links. A colon would become %3A in an address."""
    return signing.Signer(salt=SALT, sep="~")


def digest(parts: Iterable[object]) -> str:
    """A short digest of a sequence of texts; where one text ends and the next begins counts, too."""
    told = hashlib.sha256()
    for part in parts:
        text = str(part).encode()
        told.update(b"%d:" % len(text) + text)
    return told.hexdigest()[:24]
