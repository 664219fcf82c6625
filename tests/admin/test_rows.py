"""The rows page: what it says of what it finds, and of what cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from pipeline import browsing
from pipeline.models import Capture
from tests.commands.calling import call
from tests.commands.publications import DAY, OTC, WEEK, publish_week
from tests.engines import Begin
from tests.sources_in_memory import psv, row

PAGE = "/admin/rows/"


def odd_firm(source_dir: Path) -> None:
    publish_week(source_dir)
    odd = row("AAPL", "", 7, 1, name="<script>alert(1)</script>", updated="2025-12-15")
    (source_dir / "otc_week_2025-11-14.nonats.psv").write_bytes(psv(odd))
    call("backfill", "--weeks", WEEK, "--run-date", DAY)


@pytest.fixture
def viewer(begin: Begin) -> Client:
    """A Viewer's browser; a week is captured, with a firm of an odd name."""
    begin(odd_firm)
    user = User.objects.create_user("vera", is_staff=True)
    user.groups.add(Group.objects.get(name="Viewer"))
    client = Client()
    client.force_login(user)
    return client


def test_a_symbol_is_shown_with_exact_figures_and_links(viewer: Client) -> None:
    page = viewer.get(PAGE, {"symbol": "AAPL", "tier": "OTC"}).content.decode()
    capture = Capture.objects.get(partition__tier="OTC")
    assert f'href="/admin/pipeline/capture/{capture.pk}/change/"' in page
    assert '<td class="ms-number">100.5</td>' in page
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"as_of": "2999-01-01T00:00"}, "what will be known then is not known"),
        ({"as_of": "0001-01-01T00:00:00+23:00"}, "is not an instant; write YYYY-MM-DD HH:MM, in UTC"),
        ({"as_of": "yesterday"}, "is not an instant; write YYYY-MM-DD HH:MM, in UTC"),
        ({"as_of": "20251114T0000"}, "is not an instant; write YYYY-MM-DD HH:MM, in UTC"),
        ({"week": "11/14/2025"}, "is not a date; write a day as YYYY-MM-DD"),
        ({"week": "20251114"}, "is not a date; write a day as YYYY-MM-DD"),
        ({"week": "2025-11-13"}, "nothing is captured of a week ending 2025-11-13"),
        ({"capture": "finra:nothing"}, "there is no capture finra:nothing"),
        ({"tier": "NASDAQ"}, "NASDAQ is not one of the available choices"),
        ({"symbol": "NOPE"}, "No row fits."),
        ({"symbol": "\x00"}, "Null characters are not allowed."),
    ],
)
def test_what_cannot_be_asked_is_said_where_it_was_typed(viewer: Client, asked: dict[str, str], told: str) -> None:
    answer = viewer.get(PAGE, asked)
    assert answer.status_code == 200
    assert told in answer.content.decode()


def test_the_next_page_goes_on_and_keeps_the_question(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "PAGE", 3)
    capture = Capture.objects.get(partition__tier="OTC")
    first = viewer.get(PAGE, {"capture": capture.capture_id})
    assert first.context["next_url"].startswith(f"?capture=finra.otc_transparency%3AOTC%3A{WEEK}%3A20251215&after=")
    second = viewer.get(PAGE + first.context["next_url"])
    assert [len(one.context["lines"]) for one in (first, second)] == [3, 2]
    assert second.context["next_url"] == ""


@pytest.mark.parametrize("after", ["", "1|2", "a|b|c|d|e", "1|1|1||1|1", f"{10**30}|1|1||1", "1|1|1|\x00|1"])
def test_a_place_of_ones_own_is_the_start(viewer: Client, after: str) -> None:
    assert len(viewer.get(PAGE, {"tier": "OTC", "after": after}).context["lines"]) == 5


def test_as_of_before_the_first_capture_nothing_was_known(viewer: Client) -> None:
    page = viewer.get(PAGE, {"as_of": "2020-01-01T00:00", "tier": OTC.tier}).content.decode()
    assert "nothing is captured there yet" in page
