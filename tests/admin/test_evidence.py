"""Manifests, analytics snapshots and the operator log: lists and pages, read by everybody who may sign in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipeline import operations
from pipeline.admin.shared.base import page_url
from pipeline.admin.shared.concentration import band, band_badge
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import AnalyticsSnapshot, Anomaly, Category, Manifest, OperatorLogEntry, Severity
from pipeline.operations import Order, Refused
from tests.admin.vintages import SCRIPT, captured, signed_in, two_vintages
from tests.management.publications import OTC, WEEK, content
from tests.support.engines import Ledger

pytestmark = pytest.mark.usefixtures("few_rows")

MANIFESTS, SNAPSHOTS, LOG = (
    f"/admin/pipeline/{name}/" for name in ("manifest", "analyticssnapshot", "operatorlogentry")
)


def test_a_manifest_says_what_completed_and_agrees_with_it(ledger: Ledger) -> None:
    first, _ = two_vintages()
    viewer = signed_in("Viewer")

    assert viewer.get(MANIFESTS).content.decode().count("OTC:2025-11-14:20251215") >= 4
    assert len(viewer.get(MANIFESTS, {"stage__exact": "CALC"}).context["cl"].result_list) == 2
    raw = Manifest.objects.get(capture=first, stage="RAW")
    assert [found.pk for found in viewer.get(MANIFESTS, {"q": raw.checksum[:12]}).context["cl"].result_list] == [raw.pk]
    page = viewer.get(page_url(raw)).content.decode()
    assert first.payload_sha256 in page
    assert "agrees" in page
    Manifest.objects.filter(pk=raw.pk).update(checksum="f" * 64)
    assert "differs" in viewer.get(page_url(raw)).content.decode()


def test_a_snapshot_shows_its_inputs_its_markets_and_its_venues_by_rank(ledger: Ledger) -> None:
    first, second = two_vintages()
    viewer = signed_in("Viewer")
    older, newer = AnalyticsSnapshot.objects.order_by("sequence")

    listed = viewer.get(SNAPSHOTS).context["cl"].result_list
    assert [(one.pk, one.followed) for one in listed] == [(newer.pk, False), (older.pk, True)]
    page = viewer.get(page_url(older))
    assert [line.capture for line in page.context["inputs"]] == [first]
    (market,) = page.context["markets"]
    assert (market.scope, market.family, market.points) == ("OTC", "ATS", "5,796.7")
    assert (market.effective, market.figures) == ("1.7", ("179.75", "7", "3", "2"))
    venues = [(str(line.volume.venue), line.figures[:2]) for line in page.context["venues"].object_list]
    assert venues == [("UBSA", ("125.75", "69.958 %")), ("SGMT", ("54", "30.042 %"))]
    assert second.capture_id not in page.content.decode()


def test_a_scope_the_snapshot_lacks_gets_one_it_has(ledger: Ledger) -> None:
    for tier in Tier:
        key = PartitionKey(WEEK, tier)
        captured(key, content(key))
    viewer, newest = signed_in("Viewer"), AnalyticsSnapshot.objects.order_by("-sequence")[0]

    def chosen(**asked: str) -> list[str]:
        return [choice.name for choice in viewer.get(page_url(newest), asked).context["choices"] if choice.here]

    assert chosen() == ["all tiers, ATS"]
    assert chosen(scope="NMS_TIER_2", kind="ATS") == ["NMS_TIER_2, ATS"]
    assert chosen(scope="NMS_TIER_2", kind="NON_ATS") == ["NMS_TIER_1, ATS"]
    assert chosen(scope="' or 1=1", kind=SCRIPT) == ["NMS_TIER_1, ATS"]


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.05, 0.05, "low"),
        (0.1, 0.1, "low"),
        (0.1001, 0.18, "moderate"),
        (0.15, 0.1801, "moderate to high"),
        (0.2, 0.9, "high"),
    ],
)
def test_bands_are_those_of_the_merger_guidelines(low: float, high: float, told: str) -> None:
    assert band_badge(low, high).endswith(f"</span>{told}</span>")
    assert band_badge(None, None) == "-"
    assert band(high) in told


def test_the_log_says_who_did_what_and_is_read_only(ledger: Ledger) -> None:
    anomaly = Anomaly.objects.record(Category.CALC_FAILED, Severity.ERROR, f"broken {SCRIPT}", week_ending=WEEK)
    operations.resolve([anomaly], Order(operator="olive", reason=f"mended {SCRIPT}"))
    with pytest.raises(Refused):
        operations.resolve([anomaly], Order(operator="oscar", reason="me too"))
    viewer = signed_in("Viewer")

    listed = viewer.get(LOG)
    assert SCRIPT not in listed.content.decode()
    assert [(one.operator, one.outcome) for one in listed.context["cl"].result_list] == [
        ("oscar", "REFUSED"),
        ("olive", "DONE"),
    ]
    assert [one.operator for one in viewer.get(LOG, {"outcome__exact": "DONE"}).context["cl"].result_list] == ["olive"]
    assert [one.operator for one in viewer.get(LOG, {"q": "me too"}).context["cl"].result_list] == ["oscar"]
    entry = OperatorLogEntry.objects.get(operator="olive")
    page = viewer.get(page_url(entry)).content.decode()
    assert SCRIPT not in page
    assert page_url(anomaly) in page
    assert "1 anomaly resolved. 2025-11-14 is BLOCKED for trading" in page
    assert viewer.post(page_url(entry), {"reason": "nothing"}).status_code == 405


def test_a_range_of_days_has_its_last_day(ledger: Ledger) -> None:
    viewer = signed_in("Viewer")
    anomaly = Anomaly.objects.record(Category.REJECTED_ROWS, Severity.WARN, "one row", week_ending=WEEK)
    operations.resolve([anomaly], Order(operator="olive", reason="seen"))
    day = OperatorLogEntry.objects.get().at.date()

    tomorrow = day + timedelta(days=1)
    for first, last, shown in ((day, day, 1), (day, "", 1), ("", day, 1), (tomorrow, "", 0), ("no day", "", 1)):
        listed = viewer.get(LOG, {"at_from": str(first), "at_to": str(last)}).context["cl"].result_list
        assert len(listed) == shown, (first, last)


def test_an_id_no_database_has_is_a_senseless_filter(ledger: Ledger) -> None:
    answered = signed_in("Viewer").get("/admin/pipeline/anomaly/", {"partition__exact": "9" * 30}, follow=True)
    assert answered.status_code == 200


def test_lists_and_pages_take_as_many_queries_for_few_as_for_many(ledger: Ledger) -> None:
    two_vintages(OTC)
    anomaly = Anomaly.objects.record(Category.CALC_FAILED, Severity.ERROR, "broken", week_ending=WEEK)
    operations.resolve([anomaly], Order(operator="olive", reason="mended"))
    viewer = signed_in("Viewer")
    urls = [MANIFESTS, SNAPSHOTS, LOG, *(page_url(model.objects.order_by("pk")[0]) for model in EVIDENCE)]

    def taken(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert viewer.get(url).status_code == 200
        return len(queries)

    before = [taken(url) for url in urls]
    for tier in (Tier.NMS_TIER_1, Tier.NMS_TIER_2):
        two_vintages(PartitionKey(WEEK, tier))
    for _ in range(5):
        operations.reopen([anomaly], Order(operator="olive", reason="again"))
        operations.resolve([anomaly], Order(operator="olive", reason="and again"))
    assert [taken(url) for url in urls] == before
    assert max(before) <= 16


EVIDENCE = (Manifest, AnalyticsSnapshot, OperatorLogEntry)


def test_an_empty_list_says_what_fills_it(ledger: Ledger) -> None:
    viewer = signed_in("Viewer")
    assert "the first capture that a run makes writes the first" in viewer.get(MANIFESTS).content.decode()
    assert "Show everything" in viewer.get(MANIFESTS, {"q": "abc"}).content.decode()
