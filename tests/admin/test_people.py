"""Users and roles: an Administrator keeps them, and nobody comes by more rights than the one who gives them has."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from pipeline.admin.people.people import outranks
from tests.admin.vintages import signed_in
from tests.support.engines import Ledger

USERS, ROLES = "/admin/auth/user/", "/admin/auth/group/"
PASSWORD = "a long enough secret 1"


@pytest.fixture
def administrator(ledger: Ledger) -> Client:
    """A browser of an Administrator who is no superuser."""
    return signed_in("Administrator")


def page_of(user: User) -> str:
    return reverse("admin:auth_user_change", args=[user.pk])


def filled(user: User, **changed: object) -> dict[str, object]:
    """What a browser sends of a user's form."""
    groups = [group.pk for group in user.groups.all()]
    return {"username": user.username, "is_active": "on", "is_staff": "on", "groups": groups, **changed}


def permission(name: str) -> Permission:
    app, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)


def test_an_administrator_makes_a_user_and_gives_a_role(administrator: Client) -> None:
    made = {"username": "nora", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert administrator.post(f"{USERS}add/", made).status_code == 302
    nora, operator = User.objects.get(username="nora"), Group.objects.get(name="Operator")

    assert administrator.post(page_of(nora), filled(nora, groups=[operator.pk])).status_code == 302

    assert list(nora.groups.all()) == [operator]
    assert nora.has_perm("pipeline.can_force")
    assert "Operator" in administrator.get(USERS).content.decode()


def test_nobody_but_a_superuser_makes_a_superuser(administrator: Client) -> None:
    nora, mine = User.objects.create_user("nora"), User.objects.get(username="administrator")
    for user in (nora, mine):
        assert administrator.post(page_of(user), filled(user, is_superuser="on")).status_code == 302
        user.refresh_from_db()
        assert user.is_superuser is False
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    root.post(page_of(nora), filled(nora, is_superuser="on"))
    nora.refresh_from_db()
    assert nora.is_superuser is True


def test_an_administrator_neither_edits_nor_removes_a_superuser_nor_sets_the_password(administrator: Client) -> None:
    root = User.objects.create_superuser("root", password=PASSWORD)

    assert administrator.get(page_of(root)).status_code == 200
    assert "_save" not in administrator.get(page_of(root)).content.decode()
    assert administrator.post(page_of(root), filled(root, email="mine@example.org")).status_code == 403
    new = {"password1": "taken over 123", "password2": "taken over 123"}
    assert administrator.post(f"{USERS}{root.pk}/password/", new).status_code == 403
    assert administrator.post(f"{USERS}{root.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [root.pk], "post": "yes"}
    administrator.post(USERS, chosen)
    root.refresh_from_db()
    assert (root.email, root.check_password(PASSWORD)) == ("", True)


def test_an_administrator_gives_no_permission_but_those_had(administrator: Client) -> None:
    nora = User.objects.create_user("nora")
    beyond, own = permission("axes.delete_accessattempt"), permission("pipeline.can_run")

    answer = administrator.post(page_of(nora), filled(nora, user_permissions=[beyond.pk]))
    assert answer.status_code == 200
    assert "Select a valid choice" in answer.content.decode()
    assert administrator.post(page_of(nora), filled(nora, user_permissions=[own.pk])).status_code == 302
    assert list(nora.user_permissions.all()) == [own]

    made = {"name": "Auditor", "permissions": [beyond.pk]}
    assert "Select a valid choice" in administrator.post(f"{ROLES}add/", made).content.decode()
    assert administrator.post(f"{ROLES}add/", {**made, "permissions": [own.pk]}).status_code == 302
    assert list(Group.objects.get(name="Auditor").permissions.all()) == [own]


def test_a_role_that_gives_more_is_neither_given_nor_changed(administrator: Client) -> None:
    stronger = Group.objects.create(name="Stronger")
    stronger.permissions.add(permission("axes.delete_accessattempt"))
    mine, page = User.objects.get(username="administrator"), f"{ROLES}{stronger.pk}/change/"

    answer = administrator.post(page_of(mine), filled(mine, groups=[stronger.pk]))
    assert "Select a valid choice" in answer.content.decode()
    assert administrator.post(page, {"name": "Weaker", "permissions": []}).status_code == 403
    assert administrator.post(f"{ROLES}{stronger.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Group.objects.filter(name="Stronger").exists()


def test_who_has_more_is_above_also_while_not_allowed_to_sign_in(administrator: Client) -> None:
    mine, other = User.objects.get(username="administrator"), User.objects.create_user("other", is_active=False)
    assert outranks(other, mine) is False
    other.user_permissions.add(permission("axes.delete_accessattempt"))
    assert outranks(other, mine) is True
    assert outranks(other, User.objects.create_superuser("root")) is False
    assert administrator.post(page_of(other), filled(other)).status_code == 403
    other.refresh_from_db()
    assert other.is_active is False
