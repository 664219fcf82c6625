"""One request to a service that takes messages: no redirect, a bounded answer, and no secret in an error's text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from pipeline.finra.plain_text import printable, shortened
from pipeline.finra.sources.api.retry_after import retry_after
from pipeline.finra.sources.api.transport import may_pass
from pipeline.notices.addresses import Target, addresses_of
from pipeline.notices.failures import Lasting, Passing
from pipeline.notices.secrets import without

TIMEOUTS = httpx2.Timeout(connect=5, read=10, write=10, pool=5)
MOST_READ = 16 * 1024
SHOWN = 120
OURS = {"Content-Type": "application/json", "User-Agent": "MarketSpine", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a service that took a message."""

    status: int
    body: bytes


def post(to: Target, content: Mapping[str, object], headers: Mapping[str, str], *hidden: str) -> Answer:
    """Send JSON. Passing where another try may help, Lasting for any other answer but 2xx; no error shows `hidden`."""
    return post_bytes(to, json.dumps(content).encode(), headers, *hidden)


def post_bytes(to: Target, body: bytes, headers: Mapping[str, str], *hidden: str) -> Answer:
    """Send bytes that are JSON already, with the same errors."""
    if to.is_proxied:
        return _exchange(to, to.url.geturl(), body, headers, hidden)
    *others, last = addresses_of(to)
    for address in others:
        try:
            return _exchange(to, _at(to, address), body, headers, hidden)
        except _Unreachable:
            continue
    return _exchange(to, _at(to, last), body, headers, hidden)


class _Unreachable(Passing):
    """No connection could be made: nothing was sent."""


def _at(to: Target, address: str) -> str:
    """The URL with the judged address in place of the host's name."""
    return to.url._replace(netloc=f"{address}:{to.port}").geturl()


def _exchange(to: Target, url: str, body: bytes, headers: Mapping[str, str], hidden: tuple[str, ...]) -> Answer:
    sent = {**OURS, "Host": to.url.netloc, **headers}
    try:
        with (
            httpx2.Client(timeout=TIMEOUTS, follow_redirects=False, trust_env=to.is_proxied) as client,
            client.stream("POST", url, content=body, headers=sent, extensions={"sni_hostname": to.host}) as response,
        ):
            return _accepted(to, response, hidden)
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise _Unreachable(_failed(to, url, error, hidden)) from None
    except httpx2.TransportError as error:
        raise Passing(_failed(to, url, error, hidden)) from None


def _failed(to: Target, url: str, error: httpx2.TransportError, hidden: tuple[str, ...]) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return f"{to.host} did not answer in time ({type(error).__name__})"
    return f"the connection to {to.host} failed: {without(str(error), url, *hidden) or type(error).__name__}"


def _accepted(to: Target, response: httpx2.Response, hidden: tuple[str, ...]) -> Answer:
    answer = Answer(response.status_code, _beginning(response))
    if response.is_success:
        return answer
    if 300 <= response.status_code < 400:
        raise Lasting(f"{to.host} answered {response.status_code}, a redirect, and none is followed")
    said = without(" ".join(answer.body.decode(errors="replace").split()), to.url.geturl(), *hidden)
    told = f"{to.host} answered {response.status_code}: {printable(shortened(said, SHOWN)) or 'an empty body'}"
    if may_pass(response.status_code):
        raise Passing(told, retry_after(response.headers))
    raise Lasting(told)


def _beginning(response: httpx2.Response) -> bytes:
    """The first bytes of the body, not decompressed: it may have no end, and be larger than it looks."""
    read = b""
    for piece in response.iter_raw():
        read += piece
        if len(read) >= MOST_READ:
            break
    return read[:MOST_READ]
