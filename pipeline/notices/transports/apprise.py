"""Any other service, by apprise (an extra: requirements-extras.txt). The secret is an apprise URL.

apprise reports no status and no Retry-After, so each failure is tried again. https://appriseit.com
"""

from __future__ import annotations

import importlib
import ipaddress
from typing import Any

from pipeline.finra.plain_text import printable, shortened
from pipeline.models import Channel, Severity
from pipeline.notices.addresses import check_address, check_host
from pipeline.notices.failures import Lasting, Passing
from pipeline.notices.message import Message
from pipeline.notices.secrets import value_of, without

SHOWN = 200
CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
KINDS = {Severity.INFO: "info", Severity.WARN: "warning", Severity.ERROR: "failure", Severity.CRITICAL: "failure"}


def place(channel: Channel) -> str:
    """The service, and its host where the URL names one."""
    service = _service(value_of(channel.secret))
    hosts = _hosts(service)
    for host in hosts:
        check_host(host)
    return f"{service.service_name}{f' at {hosts[0]}' if hosts else ''}"


def send(channel: Channel, message: Message) -> str:
    """Hand it to apprise, as plain text."""
    secret = value_of(channel.secret)
    service = _service(secret)
    for host in _hosts(service):
        check_host(host)
        check_address(host, service.port or 443)
    sender = _apprise().Apprise()
    sender.add(service)
    result = sender.notify(
        title=message.subject, body=message.text, notify_type=KINDS[message.severity], body_format="text"
    )
    if not result:
        said = without("; ".join(entry.message for entry in result.logs()), secret)
        told = printable(shortened(said, SHOWN)) or "without a reason"
        raise Passing(f"{service.service_name} did not take it: {told}")
    return ""


def _apprise() -> Any:
    """The library; Lasting where it is not installed."""
    try:
        return importlib.import_module("apprise")
    except ImportError:
        raise Lasting("apprise is not installed: pip install -r requirements-extras.txt") from None


def _service(secret: str) -> Any:
    """apprise's service for the URL, set to follow no redirect and to wait no longer than other channels do."""
    library = _apprise()
    asset = library.AppriseAsset(http_redirects=False, secure_logging=True)
    service = library.Apprise.instantiate(secret, asset=asset)
    if service is None:
        raise Lasting("the secret is no URL that apprise knows: https://appriseit.com/services lists them")
    service.redirects = False  # whatever the URL says
    service.socket_connect_timeout, service.socket_read_timeout = CONNECT_SECONDS, READ_SECONDS
    return service


def _hosts(service: Any) -> list[str]:
    """The hosts that a URL names itself; a service with a fixed address has none."""
    named = [service.host] if any("{host}" in template for template in service.templates) else []
    return [_bare(host) for host in (*named, getattr(service, "smtp_host", None)) if host]


def _bare(host: str) -> str:
    """Without the brackets of an IPv6 address."""
    bare = str(host).strip("[]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare
