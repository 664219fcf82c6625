"""Tokens in the admin: everybody makes their own, an Administrator those of others; shown once, hashed, revoked."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from pipeline.models import ApiToken, OperatorLogEntry
from tests.admin.vintages import signed_in
from tests.support.engines import Ledger

pytestmark = pytest.mark.usefixtures("ledger")
TOKENS = "/admin/pipeline/apitoken/"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def made_by(client: Client, **filled: object) -> str:
    """The token that the page shows."""
    answer = client.post(f"{TOKENS}add/", {"name": "notebook", "days": 90, **filled})
    assert answer.status_code == 200
    found = re.findall(r'value="(ms_[0-9a-f]{64})"', answer.content.decode())
    assert len(found) == 1, answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    return str(found[0])


def test_a_viewer_makes_a_token_which_is_shown_once_and_kept_hashed(ledger: Ledger) -> None:
    viewer = signed_in("Viewer")
    with time_machine.travel(NOON, tick=False):
        text = made_by(viewer)
    token = ApiToken.objects.get()
    assert token.digest == hashlib.sha512(text.encode()).hexdigest()
    assert (token.token_key, token.name, token.user.username) == (text[:15], "notebook", "viewer")
    assert (token.expiry, token.last_used_at) == (datetime(2027, 2, 23, 12, tzinfo=UTC), None)
    for address in (TOKENS, f"{TOKENS}{token.pk}/change/"):
        page = viewer.get(address).content.decode()
        assert text[:15] in page
        assert text not in page
        assert token.digest not in page
    entry = OperatorLogEntry.objects.get()
    assert (entry.act, entry.operator, entry.sentence) == (
        "ADD",
        "viewer",
        "Added token notebook of viewer. Name: none, now notebook",
    )


def test_nobody_sees_or_revokes_the_tokens_of_others_but_who_keeps_them(ledger: Ledger) -> None:
    viewer, operator, administrator = map(signed_in, ("Viewer", "Operator", "Administrator"))
    made_by(viewer)
    token = ApiToken.objects.get()
    address = f"{TOKENS}{token.pk}/"
    assert "notebook" not in operator.get(TOKENS).content.decode()
    assert operator.get(f"{address}change/").status_code == 302  # to the list: there is none such
    assert operator.post(f"{address}delete/", {"post": "yes"}).status_code == 302
    assert ApiToken.objects.count() == 1
    assert "notebook" in administrator.get(TOKENS).content.decode()
    assert administrator.post(f"{address}change/", {"name": "mine"}).status_code == 403
    assert administrator.post(f"{address}delete/", {"post": "yes"}).status_code == 302
    assert not ApiToken.objects.exists()
    assert OperatorLogEntry.objects.latest("pk").sentence == "Deleted token notebook of viewer."


def test_an_administrator_makes_a_token_for_who_may_do_no_more(ledger: Ledger) -> None:
    administrator = signed_in("Administrator")
    robot, root = User.objects.create_user("robot"), User.objects.create_superuser("root")
    gone = User.objects.create_user("gone", is_active=False)
    made_by(administrator, user=robot.pk)
    assert ApiToken.objects.get().user == robot
    for other, told in ((root, "root may do more than you"), (gone, "gone may not sign in")):
        page = administrator.post(f"{TOKENS}add/", {"name": "taken over", "days": 7, "user": other.pk})
        assert told in page.content.decode()
    signed_in("Viewer").post(f"{TOKENS}add/", {"name": "taken over", "days": 7, "user": root.pk})
    assert not ApiToken.objects.filter(user=root).exists()


@pytest.mark.parametrize("filled", [{"days": 0}, {"days": 3650}, {"days": ""}, {"name": ""}, {"name": "x" * 101}])
def test_a_token_without_a_name_or_an_end_is_refused(ledger: Ledger, filled: dict[str, object]) -> None:
    answer = signed_in("Viewer").post(f"{TOKENS}add/", {"name": "notebook", "days": 90, **filled})
    assert answer.status_code == 200
    assert not ApiToken.objects.exists()


def test_a_name_is_given_once_by_a_user(ledger: Ledger) -> None:
    viewer = signed_in("Viewer")
    made_by(viewer)
    page = viewer.post(f"{TOKENS}add/", {"name": "notebook", "days": 90}).content.decode()
    assert "viewer has a token of this name already" in page
    made_by(signed_in("Operator"))
    assert ApiToken.objects.count() == 2


def test_who_may_read_nothing_makes_no_token(ledger: Ledger) -> None:
    client = Client()
    client.force_login(User.objects.create_user("nora", is_staff=True))
    assert client.get(TOKENS).status_code == 403
    assert client.post(f"{TOKENS}add/", {"name": "x", "days": 7}).status_code == 403
