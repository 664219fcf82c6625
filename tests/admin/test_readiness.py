"""Readiness: a line for each week with its verdicts, and a page that leads to what stands in the way."""

from __future__ import annotations

from datetime import date

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pipeline.admin.shared.base import page_url
from pipeline.models import Anomaly, Category, Partition, Readiness, Severity
from pipeline.weeks import readiness
from tests.admin.vintages import captured, signed_in
from tests.management.publications import DAY, NEWER_WEEK, OLDER_WEEK, OTC, WEEK, content
from tests.support.engines import Ledger

LIST = "/admin/pipeline/readiness/"


def verdict(use: str, week: date = WEEK) -> Readiness:
    return Readiness.objects.get(week_ending=week, use=use)


def page_of(of: Readiness) -> str:
    return reverse("admin:pipeline_readiness_change", args=[of.pk])


def listed(client: Client, **filters: str) -> list[tuple[str, str]]:
    """The weeks of the list, with the use whose reasons are shown."""
    response = client.get(LIST, filters)
    assert response.status_code == 200
    return [(one.week_ending.isoformat(), one.use) for one in response.context["cl"].result_list]


def three_weeks() -> Anomaly:
    """A week to come for all but one tier, one of which a tier is captured with a warning, one of which nothing is."""
    captured(OTC, content(OTC))
    partition = Partition.objects.get()
    anomaly = Anomaly.objects.record(Category.REFUSED, Severity.ERROR, "lost rows", partition=partition)
    for week in (NEWER_WEEK, WEEK, OLDER_WEEK):
        readiness.decide_week(week, DAY if week != NEWER_WEEK else date(2025, 12, 1))
    return anomaly


def test_a_line_for_each_week_with_a_badge_for_each_use(ledger: Ledger) -> None:
    three_weeks()
    viewer = signed_in("Viewer")

    assert listed(viewer) == [("2025-11-28", "compliance"), ("2025-11-14", "compliance"), ("2025-11-07", "compliance")]
    shown = viewer.get(LIST).content.decode()
    for use in ("trading", "compliance", "research"):
        assert shown.count(page_url(verdict(use))) >= 1
    assert "NMS_TIER_1: due since 2025-12-01 and not captured" in shown


def test_a_state_is_looked_for_in_any_use_or_in_one(ledger: Ledger) -> None:
    three_weeks()
    viewer = signed_in("Viewer")
    Readiness.objects.filter(week_ending=WEEK, use="research").update(
        state="PROVISIONAL", reasons=["so far"], reason_codes=["NOT_YET_DUE"]
    )

    assert listed(viewer, state__exact="AWAITING_PUBLICATION") == [("2025-11-28", "compliance")]
    assert listed(viewer, state__exact="PROVISIONAL") == [("2025-11-14", "compliance")]
    assert listed(viewer, state__exact="PROVISIONAL", use__exact="research") == [("2025-11-14", "research")]
    assert listed(viewer, state__exact="PROVISIONAL", use__exact="trading") == []
    assert listed(viewer, use__exact="no use") == []


def test_each_reason_leads_to_what_it_speaks_of(ledger: Ledger) -> None:
    anomaly = three_weeks()
    page = signed_in("Viewer").get(page_of(verdict("trading")))

    links = {reason.sentence.split(":")[0]: "".join(reason.links) for reason in page.context["reasons"]}
    assert page_url(anomaly) in links["2025-11-14 OTC"]
    assert page_url(Partition.objects.get()) in links["2025-11-14 OTC"]
    assert links["2025-11-14 NMS_TIER_1"] == ""
    assert [line.key.tier for line in page.context["tiers"]] == ["NMS_TIER_1", "NMS_TIER_2", "OTC"]
    assert "2025-12-15" in page.content.decode()


def test_a_blocked_week_links_to_the_anomaly_that_blocks_it(ledger: Ledger) -> None:
    captured(OTC, content(OTC))
    readiness.decide_week(WEEK, date(2025, 11, 24))
    anomaly = Anomaly.objects.record(Category.INTERNAL, Severity.CRITICAL, "died", partition=Partition.objects.get())

    page = signed_in("Viewer").get(page_of(verdict("research")))

    (reason,) = page.context["reasons"]
    assert reason.sentence == "INTERNAL: died; the week is not judged again yet"
    assert page_url(anomaly) in reason.links[0]


def test_an_operator_judges_again_and_a_viewer_does_not(ledger: Ledger) -> None:
    three_weeks()
    Anomaly.objects.update(severity=Severity.INFO)
    act = f"{LIST}{verdict('trading').pk}/do/reevaluate/"

    assert signed_in("Viewer").post(act).status_code == 403
    answer = signed_in("Operator").post(act, follow=True).content.decode()
    assert "2025-11-14 is BLOCKED for trading" in answer
    assert len(verdict("trading").reasons) == 2


def test_list_and_page_take_as_many_queries_for_many(ledger: Ledger) -> None:
    three_weeks()
    viewer = signed_in("Viewer")

    def taken(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert viewer.get(url).status_code == 200
        return len(queries)

    before = [taken(url) for url in (LIST, page_of(verdict("trading")))]
    for number in range(20):
        readiness.decide_week(date.fromordinal(OLDER_WEEK.toordinal() - 7 * (number + 1)), DAY)
        Anomaly.objects.record(Category.REFUSED, Severity.WARN, f"{number}", partition=Partition.objects.get())
    assert [taken(url) for url in (LIST, page_of(verdict("trading")))] == before
    assert max(before) <= 16
