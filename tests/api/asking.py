"""Asking the API as a script does: with a token, through Django's own handlers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from pipeline.models import ApiToken
from tests.admin.vintages import two_vintages

API = "/api/v1/"
FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"


def token_of(user: User, name: str = "script", lasts: timedelta = timedelta(days=1)) -> str:
    """A new token of a user."""
    _, text = ApiToken.objects.create(user=user, name=name, expiry=lasts)
    return str(text)


def member(role: str = "Viewer", name: str = "robot") -> User:
    """A user of a role, who needs not to be admitted to the admin."""
    user = User.objects.create_user(name)
    user.groups.add(Group.objects.get(name=role))
    return user


class Script:
    """Asks with a token."""

    def __init__(self, token: str = "") -> None:
        cache.clear()  # nothing was asked before
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, headers: dict[str, str] | None = None, /, **query: Any) -> HttpResponse:
        """The reply to a GET of a path below /api/v1/, or of a whole address."""
        address = path if path.startswith("/") else API + path
        given = {**self.headers, **(headers or {})}
        response = self.client.get(address, query or None, headers=given)
        assert response.status_code < 500 or response.status_code == 503, response.content
        return response  # type: ignore[return-value] # the test client adds attributes to it

    def json(self, path: str, /, **query: Any) -> Any:
        """The document of an answer."""
        response = self.get(path, **query)
        assert response.status_code == 200, response.content
        assert response["Content-Type"] == "application/json"
        return json.loads(body(response))

    def problem(self, status: int, path: str, headers: dict[str, str] | None = None, /, **query: Any) -> Any:
        """The problem document of an error, of the status that it says."""
        response = self.get(path, headers, **query)
        assert response.status_code == status, response.content
        assert response["Content-Type"] == "application/problem+json"
        assert response["Cache-Control"] == "no-store"
        found = json.loads(response.content)
        assert found["status"] == status
        return found

    def pages(self, path: str, /, **query: Any) -> Iterator[Any]:
        """The documents of a walk: what a client does that follows links.next until there is none."""
        document = self.json(path, **query)
        yield document
        while "next" in document["links"]:
            document = self.json(document["links"]["next"])
            yield document


def body(response: Any) -> bytes:
    """The bytes of a reply, in one piece or in several."""
    return b"".join(response) if response.streaming else response.content


def restated_week(_folder: Path) -> None:
    """A beginning: OTC of the week was captured, then restated: a row changed, one was added, one removed."""
    two_vintages()


def viewer() -> Script:
    """A script with the token of a Viewer."""
    return Script(token_of(member()))
