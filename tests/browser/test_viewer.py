"""A Viewer opens everything, is offered no act, and is refused each one that is tried all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.contrib import admin
from django.urls import reverse

from pipeline.admin.shared.acting import PERMISSIONS
from pipeline.admin.shared.base import page_url
from pipeline.models import Act, Anomaly, Capture, OperatorLogEntry, Partition, Readiness, Run
from tests.browser import eventful
from tests.browser.browsing import Visitor
from tests.browser.conftest import Visits

OFFERS = "button, input[type=submit], select[name=action] option, #content a, main a"


# Forms of their own: tests/admin/test_notices.py and test_keeping.py have Viewers try them.
BY_FORMS = {Act.SILENCE, Act.PRUNE_PLAN, Act.PRUNE_MARK}


def pages() -> Iterator[str]:
    """The pages where an operator is offered acts."""
    yield reverse("admin:index")
    for model in (Partition, Anomaly, Capture, Run, Readiness):
        yield reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for found in model._default_manager.order_by("-pk")[:1]:
            yield page_url(found)
    yield reverse("admin:django_celery_beat_periodictask_changelist")


def acts() -> Iterator[tuple[Act, str]]:
    """Each act on an object of each kind that there is one of, with its address, and the backfill."""
    for model, registered in admin.site._registry.items():
        newest = model._default_manager.order_by("-pk").first()
        if newest is None:
            continue
        for action in getattr(registered, "object_actions", ()):
            view = f"admin:{model._meta.app_label}_{model._meta.model_name}_{action.act.lower()}"
            yield action.act, reverse(view, args=[newest.pk])
    yield Act.BACKFILL, reverse("admin:pipeline_backfill")


def of_nothing_yet() -> set[Act]:
    """The acts on kinds of objects of which there is none."""
    empty = [one for model, one in admin.site._registry.items() if not model._default_manager.exists()]
    return {action.act for one in empty for action in getattr(one, "object_actions", ())}


def offered(visitor: Visitor) -> set[str]:
    """The acts that the page offers, by the name on what is pressed."""
    said = visitor.page.locator(OFFERS).all_inner_texts()  # an icon's name, on a line of its own, comes first
    last_lines = {text.strip().rpartition("\n")[2].strip().lower().rstrip("\u2026") for text in said}
    return last_lines & {act.label for act in Act}


def test_a_viewer_sees_everything_and_starts_nothing(visits: Visits, source_dir: Path) -> None:
    eventful.make(source_dir)
    before = (Run.objects.count(), OperatorLogEntry.objects.count())
    with visits("operator") as operator:
        operator.open(page_url(Partition.objects.latest("pk")))
        assert offered(operator) >= {Act.REINGEST.label, Act.FORCE_REINGEST.label, Act.RENORMALIZE.label}
    with visits("viewer") as viewer:
        for path in pages():
            viewer.open(path)
            assert (path, offered(viewer)) == (path, set())
        refused = [(act, statuses(viewer, path)) for act, path in acts()]
    assert [tried for tried in refused if tried[1] != (403, 403)] == []
    assert {act for act, _ in refused} == PERMISSIONS.keys() - of_nothing_yet() - BY_FORMS  # all that can be pressed
    assert (Run.objects.count(), OperatorLogEntry.objects.count()) == before


def statuses(visitor: Visitor, path: str) -> tuple[int, int]:
    """What the product answers when an address is opened, and when a form is sent there, from this browser."""
    cookies = {cookie["name"]: cookie["value"] for cookie in visitor.page.context.cookies()}
    form: dict[str, str | float | bool] = {
        "csrfmiddlewaretoken": cookies["csrftoken"],
        "reason": "because",
        "token": "",
    }
    asked = visitor.page.request.get(visitor.url + path)
    sent = visitor.page.request.post(visitor.url + path, form=form, headers={"Referer": visitor.page.url})
    return asked.status, sent.status
