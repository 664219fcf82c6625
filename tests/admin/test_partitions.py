"""The list of partitions and the page of one: what an operator sees, for whom, and in how many queries."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pipeline import operations
from pipeline.models import Anomaly, Category, Partition, Run, Severity
from pipeline.operations import Order
from pipeline.runs.history import last_tries
from tests.admin.vintages import signed_in, two_vintages
from tests.management.calling import call
from tests.management.publications import DAY, OTC, ROWS, TIER_1, WEEK, content, publish
from tests.support.engines import Ledger

pytestmark = pytest.mark.usefixtures("few_rows")

LIST = "/admin/pipeline/partition/"


def page_of(partition: Partition) -> str:
    return reverse("admin:pipeline_partition_change", args=[partition.pk])


def run(*words: object) -> None:
    """A run over the week, on what the source folder has."""
    assert call("run_weekly", "--weeks", WEEK, "--run-date", DAY, *words).code < 2


def text(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_the_list_shows_and_filters_by_what_became_of_the_last_try(ledger: Ledger, source_dir: Path) -> None:
    two_vintages()
    publish(source_dir, OTC, content(OTC, ()))
    publish(source_dir, TIER_1)
    run("--tiers", "OTC,T1")
    run("--tiers", "OTC", "--only-stage", "normalize")
    Partition.objects.create(week_ending=WEEK, tier="NMS_TIER_2")
    viewer = signed_in("Viewer")

    shown = text(viewer, LIST)
    for expected in ("refused", "ingested", "missing", "+1 / 1 / -1", "2025-11-14", "2025-12-15"):
        assert expected in shown
    anomaly = Anomaly.objects.get()
    assert f"partition__exact={anomaly.partition_id}&amp;resolved_at__isnull=True" in shown
    for state, tier in (("REFUSED", "OTC"), ("INGESTED", "NMS_TIER_1"), ("NEVER", "NMS_TIER_2")):
        (listed,) = viewer.get(LIST, {"state": state}).context["cl"].result_list
        tried = last_tries([WEEK]).get(listed.key)
        assert (listed.tier, listed.state) == (tier, tried.outcome if tried else "NEVER")


def test_the_page_tells_captures_failures_and_acts(ledger: Ledger, source_dir: Path) -> None:
    _, second = two_vintages()
    publish(source_dir, OTC, content(OTC, ROWS[1:]))
    run("--force", "--reason", "FINRA <b>said</b> so", "--tiers", "OTC")
    anomaly = Anomaly.objects.record(Category.INTERNAL, Severity.WARN, "<i>odd</i>", partition=second.partition)
    anomaly.resolve(by="olga", note="seen & <u>understood</u>")
    operations.pin(second, Order(operator="olga", reason="quarter's end"))

    shown = text(signed_in("Viewer"), page_of(second.partition))

    for expected in (
        "+1 / 1 / -1",
        "forced",
        "FINRA &lt;b&gt;said&lt;/b&gt; so",
        "&lt;i&gt;odd&lt;/i&gt;",
        "seen &amp; &lt;u&gt;understood&lt;/u&gt;",
        "quarter&#x27;s end",
        "pinned",
        "NORMALIZED",
        "CALC",
        "Due since 2025-12-15",
        *(reverse("admin:pipeline_run_change", args=[run.pk]) for run in Run.objects.all()),
    ):
        assert expected in shown
    assert "<b>said" not in shown
    assert "<i>odd" not in shown


def test_what_is_not_captured_says_what_to_do(ledger: Ledger) -> None:
    due = Partition.objects.create(week_ending=WEEK, tier="OTC")

    assert "see that the source has the file, then re-ingest" in text(signed_in("Viewer"), page_of(due))


def test_a_viewer_sees_the_page_and_no_button_an_operator_all(ledger: Ledger) -> None:
    partition = Partition.objects.create(week_ending=WEEK, tier="OTC")

    assert "/do/reingest/" not in text(signed_in("Viewer"), page_of(partition))
    assert "/do/reingest/" in text(signed_in("Operator"), page_of(partition))


def test_it_needs_a_login_and_a_right_id(ledger: Ledger) -> None:
    partition = Partition.objects.create(week_ending=WEEK, tier="OTC")
    viewer = signed_in("Viewer")

    for url in (LIST, page_of(partition)):
        response = Client().get(url)
        assert (response.status_code, response.headers["Location"]) == (302, f"/admin/login/?next={url}")
    for wrong in ("0", "none", "9" * 30):
        assert viewer.get(f"{LIST}{wrong}/change/").status_code == 404


def test_list_and_page_take_as_many_queries_for_much_as_for_little(ledger: Ledger, source_dir: Path) -> None:
    first, _ = two_vintages()
    run()
    viewer = signed_in("Viewer")
    urls = (LIST, page_of(first.partition))
    few = [queries(viewer, url) for url in urls]

    for shares in ("1", "2"):
        publish(source_dir, OTC, content(OTC, (("AAPL", "UBSA", shares, 3), *ROWS[1:])))
        run()
        Anomaly.objects.record(Category.INTERNAL, Severity.WARN, shares, partition=first.partition)

    assert [queries(viewer, url) for url in urls] == few
    assert max(few) <= 20


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as counted:
        text(client, url)
    return len(counted)
