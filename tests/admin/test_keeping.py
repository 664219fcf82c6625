"""Prune plans in the admin: made, read, marked and undone by administrators; backups and drills are read by everybody."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from pipeline import operations
from pipeline.keeping.policy import Policy
from pipeline.models import Backup, Capture, OperatorLogEntry, PrunePlan
from pipeline.operations import Order, Refused
from tests.admin.vintages import signed_in, two_vintages
from tests.support.engines import Ledger

pytestmark = pytest.mark.usefixtures("few_rows")

NEW = "/admin/pipeline/pruneplan/new/"
ASKED = {"older_than": "35", "keep_last": "1", "keep_monthly": "0", "keep_yearly": "0"}


@pytest.fixture
def old(ledger: Ledger, source_dir: Path) -> tuple[Capture, Capture]:
    """Two vintages of two months ago; a backup of just now."""
    with time_machine.travel(timezone.now() - timedelta(days=60)):
        made = two_vintages()
    now = timezone.now()
    Backup.objects.create(made_at=now, finished_at=now, place="elsewhere", name="of just now")
    return made


def planned(client: Client) -> PrunePlan:
    """What the form comes to."""
    answer = client.post(NEW, ASKED)
    plan = PrunePlan.objects.order_by("-pk")[0]
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/admin/pipeline/pruneplan/{plan.pk}/change/")
    return plan


def test_a_plan_is_made_marked_and_undone(old: tuple[Capture, Capture]) -> None:
    first, _ = old
    client = signed_in("Administrator")
    plan = planned(client)
    page = f"/admin/pipeline/pruneplan/{plan.pk}/change/"
    shown = client.get(page).content.decode()
    assert "superseded 60 days ago, and no rule keeps it; with it goes 2025-11-14 snapshot 1" in shown
    assert "required: it prunes more than 25% of all captures" in shown

    marking = f"/admin/pipeline/pruneplan/{plan.pk}/do/prune-mark/"
    refused = client.post(marking, {"reason": "two years are enough"}, follow=True).content.decode()
    assert "Refused: plan" in refused
    assert "say how many captures it prunes, 1" in refused
    assert client.get(marking).status_code == 405
    told = client.post(marking, {"reason": "two years are enough", "count": "1"}, follow=True).content.decode()
    assert "1 captures are marked" in told
    first.refresh_from_db()
    assert first.pruned_at is not None
    assert "marked for removal" in client.get(f"/admin/pipeline/capture/{first.pk}/change/").content.decode()

    undoing = f"/admin/pipeline/pruneplan/{plan.pk}/do/prune-undo/"
    client.post(undoing, {"reason": "the audit wants it"})
    first.refresh_from_db()
    assert first.pruned_at is None
    acts = OperatorLogEntry.objects.order_by("pk").values_list("act", "outcome")
    assert list(acts) == [
        ("PRUNE_PLAN", "DONE"),
        ("PRUNE_MARK", "REFUSED"),
        ("PRUNE_MARK", "DONE"),
        ("PRUNE_UNDO", "DONE"),
    ]


def test_pinning_a_marked_capture_takes_it_back(old: tuple[Capture, Capture]) -> None:
    first, _ = old
    order = Order(operator="olga", reason="the quarter")
    plan = operations.plan_pruning(Policy(older_than=35), order)
    operations.mark_pruned(plan, order, count=1)

    entry = operations.pin(first, order)
    assert entry.sentence == f"{first} is pinned: pruning leaves it. Plan {plan.pk} had marked it: it is taken back."
    first.refresh_from_db()
    plan.refresh_from_db()
    assert (first.pinned, first.pruned_at, plan.state) == (True, None, "UNDONE")
    operations.unpin(first, order)
    plan = operations.plan_pruning(Policy(older_than=35), order)
    operations.mark_pruned(plan, order, count=1)
    with time_machine.travel(timezone.now() + timedelta(days=15)):
        assert [one.state for one in operations.remove_pruned(order)] == ["REMOVED"]
    with pytest.raises(Refused, match="are pruned already: there is nothing to keep"):
        operations.pin(first, order)


@pytest.mark.parametrize("role", ["Viewer", "Operator"])
def test_others_read_plans_and_prune_nothing(old: tuple[Capture, Capture], role: str) -> None:
    plan = operations.plan_pruning(Policy(older_than=35), Order(operator="olga"))
    client = signed_in(role)
    shown = client.get(f"/admin/pipeline/pruneplan/{plan.pk}/change/").content.decode()
    assert "superseded 60 days ago" in shown
    assert "prune-mark" not in shown
    for address in (NEW, f"/admin/pipeline/pruneplan/{plan.pk}/do/prune-mark/"):
        assert client.post(address, {**ASKED, "reason": "x", "count": "1"}).status_code == 403
    assert list(PrunePlan.objects.values_list("state", flat=True)) == ["PLANNED"]


@pytest.mark.parametrize("wrong", [{"older_than": "34"}, {"keep_last": "0"}, {"older_than": "many"}])
def test_a_policy_that_cannot_be_makes_no_plan(old: tuple[Capture, Capture], wrong: dict[str, str]) -> None:
    answer = signed_in("Administrator").post(NEW, {**ASKED, **wrong})
    assert (answer.status_code, 'role="alert"' in answer.content.decode()) == (200, True)
    assert not PrunePlan.objects.exists()
