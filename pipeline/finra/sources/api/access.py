"""How FINRA's API is reached: addresses, credentials and limits; and which addresses are never asked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.finra.sources.base import UnsafeSource

NAME = "api"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Access:
    """What a client needs to know. Without a client id it asks anonymously, which FINRA allows for weekly data.

    `requests_per_second` holds for all that share `shared` (the URL of a Redis), or for this process without one.
    `retry_seconds` is the wait before the first repetition of a request; each further one waits twice as long. `user_agent`
    says who asks, and whom to write to.
    """

    api_url: str
    token_url: str
    hosts: tuple[str, ...] = ()
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    requests_per_second: int = 20
    connections: int = 4
    request_seconds: float = 120
    retry_seconds: float = 0.5
    max_response_bytes: int = 16 * 1024 * 1024  # FINRA's own limit is 3 MB
    shared: str = field(default="", repr=False)
    user_agent: str = "MarketSpine"

    def checked(self) -> Access:
        """Itself; UnsafeSource when an address is not one of FINRA's."""
        for url in (self.api_url, self.token_url):
            if problem := unsafe(url, self.hosts):
                raise UnsafeSource(problem)
        return self


def unsafe(url: str, hosts: Collection[str]) -> str:
    """Why a URL is never asked: https and a host of the list, or http on loopback, are; empty where all is well."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return f"{url!r} is no URL ({error})"
    host = parts.hostname or ""
    if parts.username or parts.password:
        return "a URL of FINRA's API has a user name or password in it: use FINRA_CLIENT_ID and FINRA_CLIENT_SECRET"
    if parts.scheme == "http" and host in LOOPBACK:
        return ""
    if parts.scheme != "https":
        return f"{url!r} is not https: nothing is asked over a connection that others can read or change"
    if host not in hosts:
        return f"the host {host!r} is not among {', '.join(sorted(hosts))}: add it to MARKETSPINE_FINRA_HOSTS if it is right"
    return ""


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return urlsplit(url).hostname in LOOPBACK
