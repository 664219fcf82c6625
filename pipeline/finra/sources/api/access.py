"""How FINRA's API is reached: addresses, credentials and limits; and which addresses are never asked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.finra.sources.base import UnsafeSource
from pipeline.loopback import is_loopback

NAME = "api"


@dataclass(frozen=True, slots=True)
class Access:
    """Addresses, credentials and limits of a client. Without a client id it asks anonymously, which FINRA allows.

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
            check_url(url, self.hosts)
        return self


def check_url(url: str, hosts: Collection[str]) -> None:
    """UnsafeSource unless a URL may be asked: over https and at a host of the list, or over http on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UnsafeSource(f"{url!r} is no URL ({error})") from None
    host = parts.hostname or ""
    if parts.username or parts.password:
        raise UnsafeSource(
            "a URL of FINRA's API has a user name or password in it: use FINRA_CLIENT_ID and FINRA_CLIENT_SECRET"
        )
    if parts.scheme == "http" and is_loopback(host):
        return
    if parts.scheme != "https":
        raise UnsafeSource(f"{url!r} is not https: nothing is asked over a connection that others can read or change")
    if host not in hosts:
        raise UnsafeSource(
            f"the host {host!r} is not among {', '.join(sorted(hosts))}: add it to MARKETSPINE_FINRA_HOSTS if it is right"
        )


def is_of_this_machine(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return is_loopback(urlsplit(url).hostname or "")
