"""Signing in: the longest name, the client's address, and the number of failures after which a client has to wait."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.core.validators import MaxLengthValidator
from django.db.models import Sum
from django.http import HttpRequest
from unfold.forms import AuthenticationForm

NETWORK_BITS = 64  # of an IPv6 address: a client usually owns all addresses of its network


class SignInForm(AuthenticationForm):  # type: ignore[misc] # the skin has no types
    """Django's form in the skin; it refuses names longer than a user's can be, for which attempts have no room."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        longest = User._meta.get_field("username").max_length
        self.fields["username"].validators.append(MaxLengthValidator(longest))


def client_address(request: HttpRequest) -> str | None:
    """The client's address, as far as it is certain.

    Each proxy appends the address that asked it to X-Forwarded-For; the client can write anything before that. So with n
    proxies of ours the n-th address from the end is the client's, and with none the header means nothing.
    """
    addresses = request.headers.get("X-Forwarded-For", "").split(",")
    proxies = settings.MARKETSPINE_PROXIES
    found = addresses[-proxies].strip() if 0 < proxies <= len(addresses) else ""
    return _of_one_client(found) or _of_one_client(request.META.get("REMOTE_ADDR", "")) or None


def _of_one_client(text: str) -> str:
    """An IPv4 address, or the network of an IPv6 one; empty for other text."""
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), NETWORK_BITS), strict=False).network_address)


class Attempts(AxesDatabaseHandler):  # type: ignore[misc] # axes has no types
    """Counts wrong passwords for a name from an address, and all from an address."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """The failures of the pair; at least the limit once its address alone has had too many."""
        of_pair: int = super().get_failures(request, credentials)
        if self._from_address(request) < settings.MARKETSPINE_LOGIN_ATTEMPTS_PER_ADDRESS:
            return of_pair
        return max(of_pair, settings.AXES_FAILURE_LIMIT)

    def _from_address(self, request: Any) -> int:
        since = get_cool_off_threshold(request)
        attempts = AccessAttempt.objects.filter(ip_address=request.axes_ip_address, attempt_time__gte=since)
        failures: int = attempts.aggregate(failures=Sum("failures_since_start", default=0))["failures"]
        return failures
