"""Anomalies: found by what matters, explained, resolved and reopened one by one and many at once, each with a note."""

from __future__ import annotations

from datetime import date

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pipeline.admin.anomalies.page import NEXT_STEPS
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Anomaly, Category, OperatorLogEntry, Partition, Readiness, Severity
from pipeline.weeks import readiness
from tests.admin.vintages import SCRIPT, captured, signed_in
from tests.management.publications import DAY, NEWER_WEEK, OTC, WEEK, content
from tests.support.engines import Ledger

LIST = "/admin/pipeline/anomaly/"


def page_of(anomaly: Anomaly) -> str:
    return reverse("admin:pipeline_anomaly_change", args=[anomaly.pk])


def found(message: str, severity: Severity = Severity.ERROR, category: Category = Category.REFUSED) -> Anomaly:
    """An open anomaly of OTC."""
    partition, _ = Partition.objects.get_or_create(week_ending=OTC.week_ending, tier=OTC.tier)
    return Anomaly.objects.record(category, severity, message, partition=partition)


def listed(client: Client, **filters: str) -> list[str]:
    """The messages of the list, in its order."""
    response = client.get(LIST, filters)
    assert response.status_code == 200
    return [anomaly.message for anomaly in response.context["cl"].result_list]


def states(week: date = WEEK) -> dict[str, str]:
    return dict(Readiness.objects.filter(week_ending=week).values_list("use", "state"))


def ready_week() -> None:
    """All tiers of WEEK captured, computed and judged."""
    for tier in Tier:
        key = PartitionKey(WEEK, tier)
        captured(key, content(key))
    readiness.decide_week(WEEK, DAY)


def test_the_open_come_first_the_gravest_before_the_others(ledger: Ledger) -> None:
    found("resolved").resolve(by="olive", note="seen")
    found("late", Severity.WARN, Category.LATE)
    found("stalled", Severity.CRITICAL, Category.STALLED)
    found("refused")

    assert listed(signed_in("Viewer")) == ["stalled", "refused", "late", "resolved"]


def test_the_list_is_narrowed_by_state_severity_category_tier_and_week(ledger: Ledger) -> None:
    found("resolved").resolve(by="olive", note="seen")
    found("refused")
    Anomaly.objects.record(Category.CALC_FAILED, Severity.ERROR, "of the week", week_ending=NEWER_WEEK)
    viewer = signed_in("Viewer")

    assert listed(viewer, resolved_at__isnull="False") == ["resolved"]
    assert sorted(listed(viewer, resolved_at__isnull="True")) == ["of the week", "refused"]
    assert listed(viewer, category__exact="CALC_FAILED") == ["of the week"]
    assert listed(viewer, partition__tier="OTC", resolved_at__isnull="True") == ["refused"]
    assert listed(viewer, week=NEWER_WEEK.isoformat()) == ["of the week"]
    assert listed(viewer, week=WEEK.isoformat(), severity__exact="ERROR") == ["refused", "resolved"]
    assert listed(viewer, week="no day") == []
    assert listed(viewer, q="of the w") == ["of the week"]


def test_each_category_says_what_to_do_next() -> None:
    assert NEXT_STEPS.keys() == set(Category)


def test_the_page_escapes_what_it_shows_and_has_the_history(ledger: Ledger) -> None:
    anomaly, operator = found(f"lost {SCRIPT}"), signed_in("Operator")

    shown = operator.get(page_of(anomaly)).content.decode()
    assert SCRIPT not in shown
    assert "lost &lt;script&gt;" in shown
    assert "force the re-ingest of the partition with a reason" in shown

    operator.post(f"{LIST}{anomaly.pk}/do/resolve/", {"reason": f"FINRA withdrew them {SCRIPT}"})
    operator.post(f"{LIST}{anomaly.pk}/do/reopen/", {"reason": "not quite"})
    shown = operator.get(page_of(anomaly)).content.decode()
    assert SCRIPT not in shown
    assert "operator: resolve anomaly" in shown
    assert "FINRA withdrew them &lt;script&gt;" in shown
    assert "operator: reopen anomaly" in shown
    assert "not quite" in shown


def test_the_page_has_the_click_and_the_command_that_end_it(ledger: Ledger) -> None:
    refused, rejected = found("refused"), found("3 rows", category=Category.REJECTED_ROWS)
    click = reverse("admin:pipeline_partition_reingest", args=[refused.partition_id])
    operator = signed_in("Operator")
    shown = operator.get(page_of(refused)).content.decode()
    assert f'action="{click}"' in shown
    assert "python manage.py backfill --weeks 2025-11-14 --tiers OTC</code>" in shown
    assert "It ends by itself once that has succeeded." in shown
    assert click not in signed_in("Viewer").get(page_of(refused)).content.decode()
    judged = operator.get(page_of(rejected)).content.decode()
    assert click not in judged
    assert f"resolve_anomaly {rejected.pk} --note" in judged
    refused.resolve(by="olive", note="seen")
    assert click not in operator.get(page_of(refused)).content.decode()


def test_many_are_resolved_at_once_with_one_note(ledger: Ledger) -> None:
    chosen = [found("one"), found("two", category=Category.UNREADABLE)]
    operator = signed_in("Operator")
    form = {"action": "resolve", ACTION_CHECKBOX_NAME: [anomaly.pk for anomaly in chosen], "token": "a-token"}

    asked = operator.post(LIST, form).content.decode()
    assert "2 anomalies" in asked
    assert asked.count(f"<li>{chosen[0].partition}: ") == 2
    assert not Anomaly.objects.filter(resolved_at__isnull=False).exists()
    assert "This field is required" in operator.post(LIST, {**form, "reason": "  "}).content.decode()

    operator.post(LIST, {**form, "reason": "both looked into"})
    operator.post(LIST, {**form, "reason": "both looked into"})
    assert set(Anomaly.objects.values_list("resolved_by", "note")) == {("operator", "both looked into")}
    entry = OperatorLogEntry.objects.get()
    assert (entry.outcome, entry.subjects.count()) == ("DONE", 2)
    assert entry.sentence.startswith("2 anomalies resolved. 2025-11-14 is ")


def test_resolving_a_critical_one_judges_the_week_again_and_reopening_blocks_it(ledger: Ledger) -> None:
    ready_week()
    assert set(states().values()) == {"READY"}
    anomaly = found("the archive is gone", Severity.CRITICAL, Category.ARCHIVE_DAMAGED)
    assert set(states().values()) == {"BLOCKED"}
    operator = signed_in("Operator")
    chosen = {ACTION_CHECKBOX_NAME: [anomaly.pk], "reason": "restored from the backup"}

    answer = operator.post(LIST, {**chosen, "action": "resolve"}, follow=True).content.decode()
    assert "2025-11-14 is READY for trading, READY for compliance, READY for research." in answer
    assert set(states().values()) == {"READY"}

    operator.post(LIST, {**chosen, "action": "reopen"})
    assert set(states().values()) == {"BLOCKED"}


def test_a_viewer_resolves_nothing(ledger: Ledger) -> None:
    anomaly, viewer = found("refused"), signed_in("Viewer")

    assert "Resolve anomaly" not in viewer.get(page_of(anomaly)).content.decode()
    assert viewer.post(f"{LIST}{anomaly.pk}/do/resolve/", {"reason": "mine"}).status_code == 403
    viewer.post(LIST, {"action": "resolve", ACTION_CHECKBOX_NAME: [anomaly.pk], "reason": "mine"})
    anomaly.refresh_from_db()
    assert anomaly.resolved_at is None


def test_list_and_page_take_as_many_queries_for_many(ledger: Ledger) -> None:
    anomaly, viewer = found("first"), signed_in("Viewer")

    def taken(url: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert viewer.get(url).status_code == 200
        return len(queries)

    before = [taken(url) for url in (LIST, page_of(anomaly))]
    for number in range(30):
        found(f"number {number}")
    assert [taken(url) for url in (LIST, page_of(anomaly))] == before
    assert max(before) <= 15
