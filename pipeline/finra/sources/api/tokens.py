"""OAuth2 client credentials: a token is asked for once, kept until shortly before it expires, and shared by a fleet.

FINRA says when a token expires in `expires_in` (about 12 hours). Neither token nor secret is ever in a URL, a message or
a log.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import redis

from pipeline.finra.sources.api.access import Access
from pipeline.finra.sources.api.rate import redis_of
from pipeline.finra.sources.base import TransientSourceError

MARGIN_SECONDS = 60
LEAST_SECONDS = 1


class Token(Protocol):
    """A token that FINRA issued, and the seconds for which it is valid."""

    @property
    def value(self) -> str: ...
    @property
    def seconds(self) -> float: ...


class Shelf(Protocol):
    """The storage of the token in force."""

    def get(self) -> str | None: ...
    def put(self, token: str, seconds: float) -> None: ...
    def drop(self, token: str) -> None: ...


class LocalShelf:
    """The token of this process."""

    def __init__(self) -> None:
        self._token, self._until = "", 0.0

    def get(self) -> str | None:
        """The token, while it is valid."""
        return self._token if time.perf_counter() < self._until else None

    def put(self, token: str, seconds: float) -> None:
        """Keep a token for so many seconds."""
        self._token, self._until = token, time.perf_counter() + seconds

    def drop(self, token: str) -> None:
        """Forget the token, if it is still this one."""
        if self._token == token:
            self._until = 0.0


class SharedShelf:
    """The token of a fleet, in its Redis, which forgets it when it expires."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._client, self._key = client, key

    def get(self) -> str | None:
        """The token, while it is valid."""
        found = self._tell(lambda: self._client.get(self._key))
        return None if found is None else str(found)

    def put(self, token: str, seconds: float) -> None:
        """Keep a token for so many seconds."""
        self._tell(lambda: self._client.set(self._key, token, px=round(seconds * 1000)))

    def drop(self, token: str) -> None:
        """Forget the token, if it is still this one."""
        if self.get() == token:
            self._tell(lambda: self._client.delete(self._key))

    def _tell(self, ask: Callable[[], object]) -> object:
        try:
            return ask()
        except redis.RedisError as error:
            raise TransientSourceError("the token is shared through Redis, which cannot be reached") from error


class Tokens:
    """The token in force. `issue` asks FINRA for one."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._lock = threading.Lock()

    def get(self, issue: Callable[[], Token]) -> str:
        """The token in force; without one, a new one."""
        with self._lock:
            return self._shelf.get() or self._new(issue)

    def renew(self, refused: str, issue: Callable[[], Token]) -> str:
        """A token in place of a refused one: the one that another process got meanwhile, or a new one."""
        with self._lock:
            self._shelf.drop(refused)
            return self._shelf.get() or self._new(issue)

    def _new(self, issue: Callable[[], Token]) -> str:
        token = issue()
        self._shelf.put(token.value, max(LEAST_SECONDS, token.seconds - MARGIN_SECONDS))
        return token.value


def tokens_of(access: Access) -> Tokens:
    """The tokens of all that ask with these credentials."""
    named = f"{access.token_url}|{access.client_id}|{access.client_secret}"
    return _tokens(hashlib.sha256(named.encode()).hexdigest(), access.shared)


@lru_cache(maxsize=8)
def _tokens(name: str, shared: str) -> Tokens:
    return Tokens(SharedShelf(redis_of(shared), f"marketspine:finra:token:{name[:32]}") if shared else LocalShelf())
