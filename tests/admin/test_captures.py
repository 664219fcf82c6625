"""The list of captures and the pages of one: figures, payload, rejects, and who may see them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pipeline import operations
from pipeline.models import Capture, Reject
from pipeline.operations import Order
from pipeline.vintages import archive
from tests.admin.vintages import SCRIPT, captured, signed_in, two_vintages
from tests.management.publications import OTC, TIER_1, WEEK, content
from tests.support.engines import Ledger
from tests.support.sources_in_memory import psv, row
from tests.vintages.frames import tampered_with

pytestmark = pytest.mark.usefixtures("few_rows")

LIST = "/admin/pipeline/capture/"
PAGES = ("change", "difference", "difference_csv", "movement", "rejects", "payload")


def url_of(capture: Capture, page: str = "change") -> str:
    return reverse(f"admin:pipeline_capture_{page}", args=[capture.pk])


def text(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_a_capture_is_found_by_short_id_and_week(ledger: Ledger) -> None:
    two_vintages()
    captured(TIER_1, content(TIER_1), compute=False)
    viewer = signed_in("Viewer")

    for term, found in {
        "finra.otc_transparency:OTC:2025-11-14:20251215": [2, 1],
        "OTC:2025-11-14": [2, 1],
        "NMS_TIER_1": [1],
        "2025-11-14": [1, 2, 1],
        "transparency": [],
        "2025-11-07": [],
    }.items():
        listed = viewer.get(LIST, {"q": term}).context["cl"].result_list
        assert [capture.version for capture in listed] == found, term


def test_a_capture_is_found_by_short_hash_and_filters(ledger: Ledger) -> None:
    first, second = two_vintages()
    operations.pin(first, Order(operator="olga", reason="kept"))
    viewer = signed_in("Viewer")

    def listed(**asked: str) -> list[Capture]:
        return list(viewer.get(LIST, asked).context["cl"].result_list)

    assert listed(q=second.payload_sha256[:8].upper()) == [second]
    assert listed(q=first.content_hash[:12]) == [first]
    assert listed(kind__exact="RESTATEMENT") == [second]
    assert listed(pinned__exact="1") == [first]
    assert listed(partition__week_ending_from=str(WEEK), partition__week_ending_to=str(WEEK)) == [second, first]
    assert listed(captured_on_from="2025-12-16") == []


def test_the_page_shows_figures_equations_and_the_pin_with_its_note(ledger: Ledger) -> None:
    _, second = two_vintages()
    operations.pin(second, Order(operator="olga", reason="the <b>quarter</b>"))

    shown = text(signed_in("Viewer"), url_of(second))

    for expected in (
        "183.750001",
        "the &lt;b&gt;quarter&lt;/b&gt;",
        second.payload_sha256,
        second.content_hash,
        "2025-11-14 snapshot 2",
        f"{url_of(second, 'difference')}?with=1",
    ):
        assert expected in shown
    assert "Does not hold" not in shown
    assert "Verified now" not in shown


def test_verifying_reads_archive_and_rows_only_when_asked_to(ledger: Ledger) -> None:
    first = captured(OTC, content(OTC))
    viewer = signed_in("Viewer")
    tampered_with(first)

    assert "Does not hold" not in text(viewer, url_of(first))
    verified = text(viewer, url_of(first) + "?verify=now")
    assert "SHA-256 as captured" in verified
    assert verified.count("Does not hold:</span> it has the captured rows") == 1


def test_the_payload_is_handed_out_as_it_was_fetched(ledger: Ledger) -> None:
    first = captured(OTC, content(OTC))

    response = signed_in("Viewer").get(url_of(first, "payload"))

    assert hashlib.sha256(response.content).hexdigest() == first.payload_sha256
    assert response.content == content(OTC)
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"] == (
        'attachment; filename="finra.otc_transparency_OTC_2025-11-14_20251215.psv"'
    )


def test_of_a_damaged_archive_no_byte_is_handed_out(ledger: Ledger, archive_dir: Path) -> None:
    first, second = two_vintages()
    kept, other = (archive_dir / archive.path_of(one.payload_sha256) for one in (first, second))
    viewer = signed_in("Viewer")

    for damage, told in ((other.read_bytes(), "is not what was archived"), (None, "is missing")):
        kept.write_bytes(damage) if damage else kept.unlink()
        response = viewer.get(url_of(first, "payload"))
        assert response.status_code == 409
        assert "Content-Disposition" not in response.headers
        assert told in response.content.decode()
        assert "AAPL" not in response.content.decode()


def test_rejects_are_listed_with_line_and_reason_a_page_at_a_time(ledger: Ledger) -> None:
    lines = [row(f"S{number}", "UBSA", 1) for number in range(60)]
    made = captured(OTC, psv(*lines, row("BAD", "UBSA", -5, issue=SCRIPT)))
    viewer = signed_in("Viewer")

    shown = text(viewer, url_of(made, "rejects"))
    assert "NEGATIVE_SHARES" in shown
    assert ">62<" in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert SCRIPT not in shown

    Reject.objects.bulk_create(
        Reject(capture=made, part="ats.psv", line=n, reason="R", text="") for n in range(100, 200)
    )
    assert "Page 2 of 2" in text(viewer, url_of(made, "rejects") + "?page=2")


def test_what_it_moved_is_shown_beside_what_was_known_before_or_why_not(ledger: Ledger) -> None:
    first, second = two_vintages()
    viewer = signed_in("Viewer")

    shown = text(viewer, url_of(second, "movement"))
    assert f"{first}</a>) was the newest" in shown
    assert "UBSA" in shown
    assert f"It is the first of {first.partition}" in text(viewer, url_of(first, "movement"))


def test_a_viewer_has_every_page_and_no_button(ledger: Ledger) -> None:
    _, second = two_vintages()
    viewer = signed_in("Viewer")

    for page in PAGES:
        response = viewer.get(url_of(second, page))
        assert response.status_code == 200
        assert b"/do/pin/" not in response.getvalue()
    assert "/do/pin/" in text(signed_in("Operator"), url_of(second))


def test_pages_need_a_login_and_what_exists(ledger: Ledger) -> None:
    made = captured(OTC, content(OTC))
    viewer = signed_in("Viewer")

    for page in PAGES:
        url = url_of(made, page)
        assert Client().get(url).headers["Location"] == f"/admin/login/?next={url}"
        for wrong in ("0", "none", "9" * 30):
            assert viewer.get(url.replace(f"/{made.pk}/", f"/{wrong}/")).status_code == 404


def test_list_and_pages_take_as_many_queries_for_much_as_for_little(ledger: Ledger) -> None:
    _, second = two_vintages()
    viewer = signed_in("Viewer")
    urls = (LIST, *(url_of(second, page) for page in PAGES))
    few = [queries(viewer, url) for url in urls]

    captured(OTC, content(OTC))
    captured(OTC, content(OTC, tuple((f"S{number}", "UBSA", "1", 1) for number in range(80))))

    assert [queries(viewer, url) for url in urls] == few
    asked_most = max(few)  # the page of what it moved puts six questions to the readers
    assert asked_most == few[urls.index(url_of(second, "movement"))]
    assert asked_most <= 80
    assert max(number for number in few if number != asked_most) <= 25


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as counted:
        assert client.get(url).getvalue()
    return len(counted)
