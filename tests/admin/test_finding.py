"""What a list shows can be searched for: weeks, tiers, states and categories as they are written there."""

from __future__ import annotations

import pytest
from django.test import Client

from pipeline.models import Anomaly, Capture, Partition, Readiness
from tests.admin.test_every_address import ledger_with_everything
from tests.admin.vintages import signed_in
from tests.management.publications import WEEK
from tests.support.engines import Ledger

__all__ = ["ledger_with_everything"]


@pytest.fixture
def viewer(ledger_with_everything: None) -> Client:
    """Somebody who may look at everything."""
    return signed_in("Viewer")


def found(viewer: Client, name: str, words: str) -> set[int]:
    answer = viewer.get(f"/admin/pipeline/{name}/", {"q": words})
    assert answer.status_code == 200
    return {one.pk for one in answer.context["cl"].result_list}


def test_anomalies_are_found_by_category_tier_week_and_state(viewer: Client) -> None:
    refused = set(Anomaly.objects.filter(category="REFUSED").values_list("pk", flat=True))
    assert refused
    assert found(viewer, "anomaly", "refused") >= refused
    assert found(viewer, "anomaly", "OTC") >= refused
    assert found(viewer, "anomaly", f"{WEEK} open refused") == refused
    assert found(viewer, "anomaly", "resolved refused 2001-01-05") == set()
    assert found(viewer, "anomaly", "error") == set(
        Anomaly.objects.filter(severity="ERROR").values_list("pk", flat=True)
    )


def test_partitions_are_found_by_week_tier_and_last_try(viewer: Client) -> None:
    otc = set(Partition.objects.filter(tier="OTC", week_ending=WEEK).values_list("pk", flat=True))
    assert found(viewer, "partition", f"{WEEK} otc") == otc
    assert found(viewer, "partition", "refused") == otc
    assert found(viewer, "partition", "nowhere") == set()


def test_readiness_is_found_by_week_and_verdict_of_any_use(viewer: Client) -> None:
    verdict = Readiness.objects.filter(week_ending=WEEK).order_by("pk")[0]
    assert len(found(viewer, "readiness", f"{WEEK}")) == 1
    assert len(found(viewer, "readiness", f"{verdict.state.lower()} {WEEK}")) == 1
    assert found(viewer, "readiness", "2001-01-05") == set()


def test_the_row_search_takes_the_short_ids_of_lists(viewer: Client) -> None:
    capture = Capture.objects.filter(normalized_at__isnull=False)[0]
    short = capture.capture_id.removeprefix("finra.otc_transparency:")
    lines = viewer.get("/admin/rows/", {"capture": short}).context["lines"]
    assert {line.row["capture_id"] for line in lines} == {capture.capture_id}


def test_rows_say_their_partitions_and_other_symbols(viewer: Client) -> None:
    page = viewer.get("/admin/rows/", {"symbol": "AAP"})
    rows = [line.row for line in page.context["lines"]]
    assert {row["symbol"] for row in rows} == {"AAPL"}
    assert f"in {len({row['capture_id'] for row in rows})} of 3 partitions searched" in page.context["heading"]
    assert "There is no symbol AAP: these are of AAPL." in page.content.decode()


@pytest.mark.parametrize(
    ("address", "status", "told"),
    [
        ("/admin/pipeline/capture/?id__regex=x", 400, "asks for something that no page offers"),
        ("/admin/auth/user/", 403, "You may not see or do this"),
        ("/admin/pipeline/capture/0/change/", 404, "There is nothing at this address"),
    ],
)
def test_a_refusal_says_what_happened_and_where_to_go(viewer: Client, address: str, status: int, told: str) -> None:
    answer = viewer.get(address)
    page = answer.content.decode()
    assert (answer.status_code, told in page, 'href="/admin/">To the dashboard' in page) == (status, True, True)


def test_the_way_back_keeps_the_filter_and_names_stand_as_they_are(viewer: Client) -> None:
    capture = Capture.objects.all()[0]
    page = viewer.get(f"/admin/pipeline/capture/{capture.pk}/change/", {"_changelist_filters": "kind__exact=FIRST"})
    assert 'href="/admin/pipeline/capture/?kind__exact=FIRST"' in page.content.decode()
    assert "Finra.otc_transparency" not in page.content.decode()
    assert 'href="#content">Skip to the content' in page.content.decode()


def test_navigation_and_pages_name_the_same(ledger: Ledger) -> None:
    administrator = signed_in("Administrator")
    assert "Periodic tasks" not in administrator.get("/admin/django_celery_beat/periodictask/").content.decode()
    assert "Select group" not in administrator.get("/admin/auth/group/").content.decode()
    assert "Select role" in administrator.get("/admin/auth/group/").content.decode()
