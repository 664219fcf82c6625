"""Authentication: a script by a Bearer token, a browser by its session. Either reads what its user may read."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.db import OperationalError
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from pipeline.models import ApiToken

if TYPE_CHECKING:  # whose module imports this one
    from rest_framework.views import APIView

READING = "pipeline.view_capture"  # of the pages that are DRF's own
NOT_KNOWN = "The token is not known, or was revoked."


class BearerToken(TokenAuthentication):  # type: ignore[misc] # knox has no types
    """knox's header with our own look-up: knox's removes expired tokens while it reads, and fails on odd bytes."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        """The token's user; AuthenticationFailed with the reason, without any part of the token."""
        found = ApiToken.objects.select_related("user").filter(digest=_digest(token)).first()
        if found is None:
            raise AuthenticationFailed(NOT_KNOWN)
        if found.is_expired:
            raise AuthenticationFailed(f"The token {found.name} expired on {found.expiry:%Y-%m-%d}.")
        if not found.user.is_active:
            raise AuthenticationFailed("The user of this token may not sign in any more.")
        with suppress(
            OperationalError
        ):  # who reads is not kept waiting, nor refused, because the ledger is being written
            found.note_use()
        return found.user, found


def _digest(token: bytes) -> str:
    """The digest by which a token is found. Tokens are ASCII; other bytes have none."""
    return str(hash_token(token.decode("ascii", errors="replace")))


class Session(SessionAuthentication):
    """A browser that has signed in. Unsafe methods are refused anyway."""

    def enforce_csrf(self, request: Request) -> None:
        """Check nothing: an endpoint answers POST with 405, and DRF would answer with an error of forms."""


class MayRead(BasePermission):
    """Whether the user has the permission that the endpoint needs: a Viewer has all of them."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the user has the endpoint's permission; an anonymous one has none."""
        user: Any = request.user
        return user is not None and user.is_active and user.has_perm(getattr(view, "needed", READING))
