"""One request to FINRA: within its rate, its time and its size, and tried again where that may help.

A failure that may pass is tried again with growing waits and jitter, or after FINRA's Retry-After; after the last try it is
a TransientSourceError, and the engine tries the partition again later. Any other failure ends the request at once.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import httpx2
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from pipeline.finra.sources.api.access import Access, is_of_this_machine
from pipeline.finra.sources.api.rate import PATIENCE, pace_of
from pipeline.finra.sources.api.request_counts import Answer, Endpoint, answer_of, counts, endpoint_of
from pipeline.finra.sources.api.retry_after import LONGEST_ASKED, retry_after
from pipeline.finra.sources.api.tokens import tokens_of
from pipeline.finra.sources.base import SourceError, TransientSourceError, UnsafeSource

logger = logging.getLogger(__name__)

TRIES = 5
LONGEST_WAIT = 30.0  # between two tries of one request
PASSING = frozenset({408, 425, 429})  # and every 5xx, Cloudflare's 520 to 530 too, but for the two that cannot pass:
LASTING_5XX = frozenset({501, 505})  # not implemented, and a version of HTTP that is not spoken
BAD_REQUEST: Final = 400
TOO_MANY: Final = 429
UNAUTHORIZED: Final = 401
TOKEN = re.compile(r"[\x21-\x7e]+")
NO_CONTENT: Final = 204
OK: Final = (200, NO_CONTENT)
SHOWN = 200
TIMEOUTS = httpx2.Timeout(connect=10, read=30, write=30, pool=120)


def _tell(details: RetryDetails) -> None:
    logger.info("try %s: %s; again in %.1f s", details.retry_num, details.caused_by, details.wait_for)


set_on_retry_hooks([_tell])  # no other module here uses stamina


class Passing(TransientSourceError):
    """A request failed in a way that may pass."""


class Denied(SourceError):
    """FINRA denies this to us: 403, or 404."""


class Rejected(SourceError):
    """FINRA does not accept the question: 400, for a date outside a window, a sort or a filter too many."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of FINRA with status 200 or 204."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        """FINRA's id of the request, for its support; empty without one."""
        return self.headers.get("finra-api-request-id", "")


@dataclass(frozen=True, slots=True)
class _Issued:
    value: str
    seconds: float


class Transport:
    """Requests to one service. Safe for threads."""

    def __init__(self, access: Access) -> None:
        self._access = access.checked()
        self._pace = pace_of(access)
        self._client = _client(os.getpid(), access.api_url, access.connections)
        self._tokens = tokens_of(access) if access.client_id else None

    def get(self, path: str) -> Reply:
        """The reply to a GET; errors as for `post`."""
        return self._tried("GET", path, None)

    def post(self, path: str, question: Mapping[str, object]) -> Reply:
        """The reply to a POST of JSON.

        TransientSourceError when it failed each time in a way that may pass, Denied for 403 and 404, Rejected for 400,
        SourceError for any other status, UnsafeSource for a reply that is too large.
        """
        return self._tried("POST", path, question)

    def _tried(self, method: str, path: str, question: Mapping[str, object] | None) -> Reply:
        waits = {"wait_initial": self._access.retry_seconds, "wait_jitter": self._access.retry_seconds}
        for attempt in stamina.retry_context(
            on=_may_pass, attempts=TRIES, timeout=None, wait_max=LONGEST_WAIT, **waits
        ):
            with attempt:
                return self._asked(method, path, question)
        raise AssertionError("a retry context returns or raises")

    def _asked(self, method: str, path: str, question: Mapping[str, object] | None) -> Reply:
        """One try: at its place, with the token in force, and again with a new one if the token is refused."""
        token = self._tokens.get(self._issue) if self._tokens else None
        self._wait(self._url(path))
        reply = self._sent(method, path, question, token)
        if reply.status == UNAUTHORIZED and self._tokens and token:
            token = self._tokens.renew(token, self._issue)
            self._wait(self._url(path))
            reply = self._sent(method, path, question, token)
        return self._accepted(reply, f"{method} {path}")

    def _sent(self, method: str, path: str, question: Mapping[str, object] | None, token: str | None) -> Reply:
        headers = {"Accept": "application/json", "User-Agent": self._access.user_agent}  # without Accept it is CSV
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self._exchange(method, self._url(path), headers=headers, json=question)

    def _url(self, path: str) -> str:
        return self._access.api_url.rstrip("/") + path

    def _exchange(self, method: str, url: str, **given: Any) -> Reply:
        started, endpoint = time.perf_counter(), self._endpoint(url)
        with _counted(endpoint), _explained(f"{method} {url}"), self._client.stream(method, url, **given) as response:
            body = self._read(response, started)
            reply = Reply(response.status_code, response.headers, body)
        counts.answered(endpoint, answer_of(reply.status), len(body))
        return reply

    def _endpoint(self, url: str) -> Endpoint:
        return Endpoint.TOKEN if url == self._access.token_url else endpoint_of(url.removeprefix(self._url("")))

    def _wait(self, url: str) -> None:
        """Wait for the place in the rate, and count the wait."""
        started = time.perf_counter()
        self._pace.wait()
        counts.waited(self._endpoint(url), time.perf_counter() - started)

    def _read(self, response: httpx2.Response, started: float) -> bytes:
        """The decompressed body, read in pieces: a reply may be endless, or come a byte at a time."""
        pieces, size = [], 0
        for piece in response.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > self._access.max_response_bytes:
                raise UnsafeSource(
                    f"FINRA's reply is larger than {self._access.max_response_bytes:,} bytes: not read on"
                )
            if time.perf_counter() - started > self._access.request_seconds:
                raise Passing(f"FINRA's reply had not come whole after {self._access.request_seconds:g} seconds")
        return b"".join(pieces)

    def _accepted(self, reply: Reply, asked: str) -> Reply:
        if reply.status in OK:
            return reply
        message = f"{_answerer(reply)} answered {reply.status} to {asked}{_named(reply)}: {_said(reply)}"
        if may_pass(reply.status):
            raise Passing(message, self._asked_to_wait(reply))
        if reply.status == UNAUTHORIZED:
            raise SourceError(f"{message}; {self._advice()}")
        if reply.status in (403, 404):
            raise Denied(message)
        if reply.status == BAD_REQUEST:
            raise Rejected(message)
        raise SourceError(message)

    def _asked_to_wait(self, reply: Reply) -> float | None:
        """FINRA's Retry-After, which holds for the whole fleet. A 429 without one halves the rate."""
        after = retry_after(reply.headers)
        if after:
            self._pace.hold(after)
        elif after is None and reply.status == TOO_MANY:
            self._pace.slow()
        return after

    def _advice(self) -> str:
        if self._tokens:
            return "the token was refused twice: are FINRA_CLIENT_ID and FINRA_CLIENT_SECRET still good?"
        return "it asks for credentials: set FINRA_CLIENT_ID and FINRA_CLIENT_SECRET"

    def _issue(self) -> _Issued:
        """Ask for a token. The credentials travel in a header, by HTTP Basic."""
        url, credentials = self._access.token_url, (self._access.client_id, self._access.client_secret)
        self._wait(url)
        headers = {"User-Agent": self._access.user_agent}
        reply = self._exchange(
            "POST", url, headers=headers, params={"grant_type": "client_credentials"}, auth=credentials
        )
        if may_pass(reply.status):
            raise Passing(f"FINRA's token service answered {reply.status}", self._asked_to_wait(reply))
        if reply.status not in OK:
            raise SourceError(
                f"FINRA's token service answered {reply.status}: are FINRA_CLIENT_ID and FINRA_CLIENT_SECRET right?"
            )
        return _issued(reply)


@contextmanager
def _counted(endpoint: Endpoint) -> Iterator[None]:
    """Count a request without an answer, by the reason: too slow, cut off, or no HTTP."""
    try:
        yield
    except UnsafeSource:
        counts.answered(endpoint, Answer.BAD_PAYLOAD)
        raise
    except Passing as failure:
        cause = failure.__cause__
        is_slow = cause is None or isinstance(cause, httpx2.TimeoutException)
        cut = Answer.BAD_PAYLOAD if isinstance(cause, httpx2.DecodingError) else Answer.CONNECTION
        counts.answered(endpoint, Answer.TIMEOUT if is_slow else cut)
        raise


def may_pass(status: int) -> bool:
    """Whether another try may help after this status."""
    return status in PASSING or (500 <= status < 600 and status not in LASTING_5XX)


def _answerer(reply: Reply) -> str:
    """The sender of the answer: FINRA speaks JSON, HTML comes from Cloudflare before it (finra.md, "API")."""
    is_page = reply.headers.get("content-type", "").lower().startswith("text/html")
    return "Cloudflare, which stands before FINRA," if is_page and reply.status >= BAD_REQUEST else "FINRA"


def _issued(reply: Reply) -> _Issued:
    """The token of a reply. The error does not show a malformed one, which may still be secret."""
    try:
        said = json.loads(reply.body)
        token, seconds = said["access_token"], float(said["expires_in"])
        if TOKEN.fullmatch(token):
            return _Issued(token, min(seconds, LONGEST_ASKED))
    except (ValueError, KeyError, TypeError):
        pass
    raise SourceError("FINRA's token service answered 200 without an access_token and its expires_in") from None


def _may_pass(error: Exception) -> bool | float:
    """For stamina: whether to try again, or after how many seconds."""
    if not isinstance(error, Passing):
        return False
    if not error.after:  # none was asked for, or one that has passed: clocks differ
        return True
    return error.after if error.after <= PATIENCE else False


@lru_cache(maxsize=4)
def _client(_process: int, api_url: str, connections: int) -> httpx2.Client:
    """The client of this process. Its connections are kept between partitions, and never shared with a forked process."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=connections * 2)
    return httpx2.Client(
        timeout=TIMEOUTS, limits=limits, follow_redirects=False, trust_env=not is_of_this_machine(api_url), http2=False
    )


@contextmanager
def _explained(asked: str) -> Iterator[None]:
    """Turn failures of the connection into sentences. The library's message may name an address, never a header."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise Passing(f"FINRA did not answer {asked} in time ({type(error).__name__})") from error
    except httpx2.DecodingError as error:
        raise Passing(f"FINRA's reply to {asked} could not be decompressed") from error
    except httpx2.TransportError as error:
        raise Passing(f"the connection to FINRA failed at {asked}: {error or type(error).__name__}") from error


def _named(reply: Reply) -> str:
    return f" (request {reply.request_id})" if reply.request_id else ""


def _said(reply: Reply) -> str:
    """FINRA's error message, or the beginning of the body."""
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(reply.body)["message"])[:SHOWN]
    if 300 <= reply.status < 400:
        return "a redirect, and none is followed: is MARKETSPINE_FINRA_API_URL right?"
    text = reply.body[:SHOWN].decode(errors="replace")
    return " ".join(text.split()) or "an empty body"
