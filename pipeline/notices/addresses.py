"""Where messages may go: to hosts that the settings name, by https, and to no address where machines keep secrets.

An address is judged when a channel is saved and again when a message is sent; the connection goes to the very address
that was judged, even if the name resolves to another a moment later.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from django.conf import settings

from pipeline.loopback import is_loopback
from pipeline.notices.failures import Lasting, Passing

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SETTING = "MARKETSPINE_NOTIFY_HOSTS"
# Where clouds hand out credentials beside 169.254.0.0/16 and fe80::/10: AWS, Alibaba, Azure, Oracle.
METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))
NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be asked. `port` is the scheme's where none is written."""

    url: SplitResult
    host: str
    port: int

    @property
    def is_proxied(self) -> bool:
        """Whether the environment names a proxy for it, which then resolves the host itself."""
        return self.url.scheme in getproxies() and not proxy_bypass(self.host)


def target(address: str) -> Target:
    """The target of a URL; Lasting where it may not be asked, with the host alone in its text."""
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:
        raise Lasting("the secret is no web address") from None
    host = (url.hostname or "").rstrip(".").lower()
    if not host or url.scheme not in ("https", "http"):
        raise Lasting("the secret is no web address: it begins with https:// and a host")
    if url.username or url.password:
        raise Lasting(f"the address of {host} has a user name or a password in it: no service here takes them")
    check_host(host)
    if url.scheme == "http" and not is_loopback(host):
        raise Lasting(f"the address of {host} is http: nothing is sent over a connection that others can read")
    return Target(url, host, port or (443 if url.scheme == "https" else 80))


def check_host(host: str) -> None:
    """Lasting for a host that the settings do not name."""
    named = _named()
    if host.rstrip(".").lower() not in named:
        raise Lasting(f"the host {host} is not among those of {SETTING}: add it there if it is right")


def addresses_of(at: Target) -> list[str]:
    """The IP addresses to connect to, each as a URL has it; errors as for `check_address`."""
    found = check_address(at.host, at.port)
    return [f"[{one}]" if one.version == 6 else str(one) for one in found]


def check_address(host: str, port: int) -> list[Address]:
    """The IP addresses of a host; Passing where the name does not resolve now, Lasting where an address is refused."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Passing(f"{host} cannot be found: {error.strerror or error}") from None
    named = _named()
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if is_refused(address, named):
            raise Lasting(
                f"{host} leads to {address}, which is this machine, a neighbour's or a cloud's own service: nothing is "
                f"sent there unless {SETTING} names that address"
            )
    return list(dict.fromkeys(addresses))


def is_refused(address: Address, named: frozenset[str]) -> bool:
    """Whether an address is refused unless the settings name it: loopback, link-local, metadata, or no single host's."""
    if str(address) in named or (address.is_loopback and "localhost" in named):
        return False
    inner = _within(address)
    return (inner is not None and is_refused(inner, named)) or (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address in METADATA
    )


def _within(address: Address) -> Address | None:
    """The IPv4 address inside an IPv6 address; None without one."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _named() -> frozenset[str]:
    return frozenset(host.strip("[]").rstrip(".").lower() for host in settings.MARKETSPINE_NOTIFY_HOSTS)
