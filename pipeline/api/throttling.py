"""Limits of requests: reads a minute, and whole files an hour, for each token or signed-in user.

Requests are counted in windows that begin with the clock's minute and hour, by one atomic count for all processes that
share the cache. DRF's own throttle reads a list and writes it back, so that two requests at once count as one.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:  # whose module imports this one
    from rest_framework.views import APIView

MINUTE, HOUR = 60, 3600
READ, EXPORT = "read", "export"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """`quota` requests in each window of `window` seconds."""

    name: str
    quota: int
    window: int

    @property
    def field(self) -> str:
        """Its part of the field RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-11)."""
        return f'"{self.name}";q={self.quota};w={self.window}'


@dataclass(frozen=True, slots=True)
class Standing:
    """The count of a requester: `asked` requests in this window, which ends in `seconds`."""

    policy: Policy
    asked: int
    seconds: int

    @property
    def is_over(self) -> bool:
        """Whether this request exceeds the quota."""
        return self.asked > self.policy.quota

    @property
    def field(self) -> str:
        """Its part of the field RateLimit: the requests left, and the seconds until the next window."""
        return f'"{self.policy.name}";r={max(0, self.policy.quota - self.asked)};t={self.seconds}'


class Limit(BaseThrottle):
    """Counts a request, and refuses it beyond the quota; the view writes the headers from `standing`."""

    standing: Standing

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request, and whether it is allowed. While Redis is away, requests are allowed uncounted."""
        policy = policy_of(getattr(view, "scope", READ))
        self.standing = _count(policy, _who(request))
        view.standing = self.standing  # type: ignore[attr-defined] # for the headers of whatever is answered
        return not self.standing.is_over

    def wait(self) -> float:
        """The seconds until the next window."""
        return float(self.standing.seconds)


def policy_of(scope: str) -> Policy:
    """The limit of a scope in the settings."""
    if scope == EXPORT:
        return Policy(EXPORT, settings.MARKETSPINE_API_EXPORTS_PER_HOUR, HOUR)
    return Policy(READ, settings.MARKETSPINE_API_READS_PER_MINUTE, MINUTE)


def headers(standing: Standing) -> Iterator[tuple[str, str]]:
    """The draft's two fields, and Retry-After where the request was refused."""
    yield "RateLimit-Policy", standing.policy.field
    yield "RateLimit", standing.field
    if standing.is_over:
        yield "Retry-After", str(standing.seconds)


def _who(request: Request) -> str:
    """The key of the count: a token's own, or a signed-in user's over all browsers."""
    return f"token-{request.auth.pk}" if request.auth is not None else f"user-{request.user.pk}"


def _count(policy: Policy, who: str) -> Standing:
    now = time.time()
    window = int(now // policy.window)
    seconds = max(1, math.ceil((window + 1) * policy.window - now))
    key = f"api-{policy.name}-{who}-{window}"
    try:
        cache.add(key, 0, timeout=policy.window + MINUTE)
        asked = cache.incr(key)
    except (RedisError, ValueError) as error:
        _log.warning("the rate of the API is not counted: %s", error)
        asked = 1
    return Standing(policy, asked, seconds)
