"""Everything that a person does in the admin is in the operator log, under the name of then, and stays there."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from pipeline.models import Act, ActOutcome, Anomaly, Category, OperatorLogEntry, Severity
from tests.admin.vintages import signed_in
from tests.support.engines import Ledger

USERS, ROLES = "/admin/auth/user/", "/admin/auth/group/"
BEAT = "/admin/django_celery_beat"
PASSWORD = "a long enough secret 1"
Told = tuple[str, int | None, str, str]


@pytest.fixture
def administrator(ledger: Ledger) -> Client:
    """A browser of an Administrator who is no superuser."""
    return signed_in("Administrator")


def log() -> list[Told]:
    """Who did what, and what is told of it, the oldest first."""
    return [(one.operator, one.account, one.act, one.sentence) for one in OperatorLogEntry.objects.order_by("pk")]


def form_of(client: Client, address: str) -> dict[str, object]:
    """What a browser sends of a form that nobody has touched."""
    form = client.get(address).context["adminform"].form
    sent: dict[str, object] = {}
    for name, field in form.fields.items():
        value = form.get_initial_for_field(field, name)
        if isinstance(value, list):
            sent[name] = [getattr(one, "pk", one) for one in value]
        elif value is True or (value not in (None, False) and not hasattr(value, "tzinfo")):
            sent[name] = "on" if value is True else value
    return sent


def test_deleting_the_own_account_leaves_the_log_entries(administrator: Client) -> None:
    mine, weekly = User.objects.get(username="administrator"), PeriodicTask.objects.get(name="weekly run")
    page = f"{BEAT}/periodictask/{weekly.pk}/change/"
    sent = {name: value for name, value in form_of(administrator, page).items() if name != "enabled"}
    assert administrator.post(page, sent).status_code == 302
    assert administrator.post(f"{USERS}{mine.pk}/delete/", {"post": "yes"}).status_code == 302

    assert not User.objects.exists()
    assert PeriodicTask.objects.get(name="weekly run").enabled is False
    (off, gone) = log()
    assert off[:3] == ("administrator", mine.pk, Act.CHANGE)
    assert "Enabled: yes, now no" in off[3]
    assert gone == ("administrator", mine.pk, Act.DELETE, "Deleted administrator.")
    viewer = signed_in("Viewer")
    listed = viewer.get("/admin/pipeline/operatorlogentry/").content.decode()
    assert f"account {mine.pk}" in listed
    entry = OperatorLogEntry.objects.get(act=Act.DELETE)
    page_of_it = viewer.get(reverse("admin:pipeline_operatorlogentry_change", args=[entry.pk])).content.decode()
    assert f"{mine.pk}, which has been deleted" in page_of_it


def test_an_act_stays_that_of_the_account_whatever_it_is_named_later(administrator: Client) -> None:
    found = Anomaly.objects.record(Category.CALC_FAILED, Severity.ERROR, "of a week")
    mine, oper = User.objects.get(username="administrator"), User.objects.create_user("oper")
    page = f"{USERS}{mine.pk}/change/"
    User.objects.filter(pk=oper.pk).update(username="gone")
    administrator.post(page, {**form_of(administrator, page), "username": "oper"})
    administrator.post(f"/admin/pipeline/anomaly/{found.pk}/do/resolve/", {"reason": "seen"})
    administrator.post(page, {**form_of(administrator, page), "username": "olive"})

    assert [entry[:3] for entry in log()] == [
        ("administrator", mine.pk, Act.CHANGE),
        ("oper", mine.pk, Act.RESOLVE),
        ("oper", mine.pk, Act.CHANGE),
    ]
    assert log()[0][3] == "Changed oper. Username: administrator, now oper"
    entry = OperatorLogEntry.objects.get(act=Act.RESOLVE)
    shown = administrator.get(reverse("admin:pipeline_operatorlogentry_change", args=[entry.pk])).content.decode()
    assert f"{mine.pk}, which is named olive now" in shown


def test_making_and_changing_users_and_roles_is_told_with_what_was_given(administrator: Client) -> None:
    made = {"username": "nora", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    administrator.post(f"{USERS}add/", made)
    nora, operator = User.objects.get(username="nora"), Group.objects.get(name="Operator")
    page = f"{USERS}{nora.pk}/change/"
    administrator.post(page, {**form_of(administrator, page), "groups": [operator.pk], "is_staff": "on"})
    administrator.post(f"{USERS}{nora.pk}/password/", {**made, "usable_password": "true"})
    can_run = Permission.objects.get(codename="can_run")
    administrator.post(f"{ROLES}add/", {"name": "Runner", "permissions": [can_run.pk]})
    runner = Group.objects.get(name="Runner")
    administrator.post(f"{ROLES}{runner.pk}/change/", {"name": "Runner", "permissions": []})
    administrator.post(ROLES, {"action": "delete_selected", "_selected_action": [runner.pk], "post": "yes"})

    assert [told for *_, told in log()] == [
        "Added nora. Password: set; Username: none, now nora",
        "Changed nora. Staff status: no, now yes; Groups: given Operator",
        "Changed nora. Password: set",
        f"Added Runner. Name: none, now Runner; Permissions: given {can_run}",
        f"Changed Runner. Permissions: taken {can_run}",
        "Deleted Runner.",
    ]
    assert PASSWORD not in "".join(told for *_, told in log())


def test_a_deleted_time_takes_its_schedules_and_says_so(administrator: Client) -> None:
    weekly = PeriodicTask.objects.get(name="weekly run")
    crontab = CrontabSchedule.objects.get(pk=weekly.crontab_id)
    gone = ", ".join(str(one) for one in (crontab, *PeriodicTask.objects.filter(crontab=crontab)))
    administrator.post(f"{BEAT}/crontabschedule/{crontab.pk}/delete/", {"post": "yes"})

    assert not PeriodicTask.objects.filter(name="weekly run").exists()
    assert log()[-1][2:] == (Act.DELETE, f"Deleted {gone}.")


def test_changing_the_own_password_is_told(administrator: Client) -> None:
    mine = User.objects.get(username="administrator")
    mine.set_password(PASSWORD)
    mine.save()
    administrator.force_login(mine)
    new = {"old_password": PASSWORD, "new_password1": "another long secret 2", "new_password2": "another long secret 2"}
    assert administrator.post("/admin/password_change/", {**new, "old_password": "wrong"}).status_code == 200
    assert log() == []
    assert administrator.post("/admin/password_change/", new).status_code == 302
    assert log() == [("administrator", mine.pk, Act.CHANGE, "Changed administrator. Password: set")]


def test_a_change_that_is_undone_leaves_no_entry(administrator: Client) -> None:
    nora = User.objects.create_user("nora")
    page = f"{USERS}{nora.pk}/change/"
    assert administrator.post(page, {**form_of(administrator, page), "username": "administrator"}).status_code == 200
    assert administrator.post(page, form_of(administrator, page)).status_code == 302
    assert log() == []


def test_nothing_in_the_log_hangs_on_an_account(ledger: Ledger) -> None:
    fields = OperatorLogEntry._meta.get_fields()
    assert not [field for field in fields if field.related_model in (User, Group, PeriodicTask)]
    assert OperatorLogEntry(operator="shell", act=Act.PIN, outcome=ActOutcome.DONE).account is None
