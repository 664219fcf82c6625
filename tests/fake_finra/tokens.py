"""OAuth2 client credentials: tokens that expire, and who may ask without one (finra.md, "API")."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from threading import Lock
from time import monotonic

from tests.fake_finra.exchange import Asked, Reply, error_reply, json_reply
from tests.fake_finra.options import Options

TOKEN_PATH = "/fip/rest/ews/oauth2/access_token"


class Tokens:
    """The tokens in force. `clock` is in seconds; one that a test sets lets hours pass."""

    def __init__(self, options: Options, clock: Callable[[], float] = monotonic) -> None:
        self._options = options
        self._clock = clock
        self._expiries: dict[str, float] = {}
        self._lock = Lock()
        self.issued = 0

    def issue(self, asked: Asked) -> Reply:
        """Answer a request to the token endpoint: 400 for another grant, 401 for other credentials."""
        if asked.parameters.get("grant_type") != "client_credentials":
            return json_reply(400, {"error": "unsupported_grant_type"})
        if asked.basic != (self._options.client_id, self._options.client_secret):
            return json_reply(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"})
        seconds = self._options.token_seconds
        token = self._new(seconds)
        expires_in = str(seconds) if self._options.expires_in_text else seconds
        return json_reply(200, {"access_token": token, "token_type": "Bearer", "expires_in": expires_in})

    def refuse(self, asked: Asked) -> Reply | None:
        """401 for a token that is unknown or has expired, and for none where one is needed; None where all is well."""
        if asked.bearer is None:
            allowed = self._options.anonymous and "Authorization" not in asked.headers
            return None if allowed else _unauthorized("Authentication is required")
        with self._lock:
            in_force = self._expiries.get(asked.bearer, 0) > self._clock()
        return None if in_force else _unauthorized("The access token is invalid or has expired")

    def revoke(self) -> None:
        """From now on no token issued so far is good."""
        with self._lock:
            self._expiries.clear()

    def _new(self, seconds: int) -> str:
        with self._lock:
            self.issued += 1
            token = sha256(f"{self._options.client_id}|{self.issued}".encode()).hexdigest()
            self._expiries[token] = self._clock() + seconds
        return token


def _unauthorized(message: str) -> Reply:
    return error_reply(401, message, {"WWW-Authenticate": "Bearer"})
