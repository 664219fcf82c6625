"""Who asks: a script by a Bearer token, a browser by its session. Either reads what its user may read, and nothing else."""

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
    """knox's header, and a look-up of our own: knox removes expired tokens while it reads, and fails on odd bytes."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        """The token's user; AuthenticationFailed says what is wrong with the token, without a part of it."""
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
    """What a token is found by. Tokens are ASCII: any other bytes are none."""
    return str(hash_token(token.decode("ascii", errors="replace")))


class Session(SessionAuthentication):
    """A browser that has signed in. What is asked with an unsafe method is refused by its method."""

    def enforce_csrf(self, request: Request) -> None:
        """Nothing is changed here: DRF would answer a POST with a form's error where 405 is meant."""


class MayRead(BasePermission):
    """Whether the user has the permission that the endpoint needs: a Viewer has all of them."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Who is nobody has none."""
        user: Any = request.user
        return user is not None and user.is_active and user.has_perm(getattr(view, "needed", READING))
