"""The rows page: what it says of what it finds, and of what cannot be asked; its downloads."""

from __future__ import annotations

import csv
import errno
import io
import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.test import Client

from pipeline import readers
from pipeline.admin.captures import rows as page_of_rows
from pipeline.models import Capture, DataKind, LedgerKind
from pipeline.vintages import read
from tests.admin.vintages import SCRIPT, signed_in
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, T1, WEEK, stored

PAGE, CSV, PARQUET = "/admin/rows/", "/admin/rows.csv", "/admin/rows.parquet"
KNOWN = datetime(2025, 12, 15, 16, tzinfo=UTC)
ROWS = (("AAPL", "UBSA", "100.5", 3), ("AAPL", "SGMT", "50", 2), ("MSFT", "UBSA", "25.25", 1), ("+ADD", SCRIPT, "7", 1))


@pytest.fixture
def viewer(ledger: Ledger) -> Client:
    """A Viewer's browser; a week is captured, with a firm of an odd name."""
    stored(ROWS, KNOWN)
    stored(ROWS[:1], KNOWN, key=T1)
    return signed_in("Viewer")


def test_a_symbol_is_shown_with_exact_figures_its_vintage_and_sums(viewer: Client) -> None:
    answer = viewer.get(PAGE, {"symbol": "AAPL"})
    page = answer.content.decode()
    capture = Capture.objects.get(partition__tier="OTC")

    assert f'href="/admin/pipeline/capture/{capture.pk}/change/" title="{capture.capture_id}">1</a>' in page
    assert '<td class="ms-number">100.5</td>' in page
    assert answer.context["heading"] == f"3 rows in 2 of 2 partitions searched, week {WEEK}"
    assert (answer.context["shares"], answer.context["trades"]) == ("251", "8")


def test_words_are_met_exactly_first_and_otherwise_by_parts_of_names(viewer: Client) -> None:
    def found(**asked: str) -> list[tuple[str, str]]:
        return [
            (line.row["symbol"], line.row["mpid"])
            for line in viewer.get(PAGE, {"tier": "OTC", **asked}).context["lines"]
        ]

    both = [("AAPL", "UBSA"), ("AAPL", "SGMT")]
    assert found(symbol="aapl") == found(symbol="AA") == found(issue="aapl inc") == both
    assert found(symbol="AAPL", venue="sgmt") == found(venue="SGMT") == both[1:]
    assert found(symbol="MSFT", venue="SGMT") == found(symbol="AAPL", issue="msft") == found(venue="NOPE") == []
    assert found(symbol="AAPL", venue="SCRIPT") == []
    assert found(sort="shares")[:3] == [*both, ("MSFT", "UBSA")]


def test_the_files_of_a_symbol_are_scanned_once_whatever_else_is_asked(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans: list[int] = []

    def counted(captures: Collection[Capture], **named: Any) -> pl.LazyFrame:
        scans.append(len(captures))
        return of_captures(captures, **named)

    of_captures = read.of_captures
    monkeypatch.setattr(read, "of_captures", counted)
    for address in (PAGE, CSV):
        for further in (
            {},
            {"venue": "sgmt"},
            {"venue": "pool"},
            {"venue": "NOPE"},
            {"issue": "aapl"},
            {"sort": "shares"},
        ):
            scans.clear()
            assert viewer.get(address, {"symbol": "aapl", **further}).status_code == 200
            assert scans == [2], (address, further)


def test_a_word_is_searched_six_weeks_at_a_time_and_a_symbol_in_all(viewer: Client) -> None:
    for number in range(1, 8):
        stored(ROWS[:1], KNOWN, key=KEY._replace(week_ending=WEEK - timedelta(days=7 * number)))

    newest = viewer.get(PAGE, {"venue": "UBSA"})
    older = viewer.get(PAGE + newest.context["older_url"])

    fifth, oldest = (WEEK - timedelta(days=7 * number) for number in (5, 7))
    assert newest.context["heading"] == f"8 rows in 7 of 7 partitions searched, weeks {fifth} to {WEEK}"
    assert (older.context["heading"][:34], older.context["older_url"]) == ("2 rows in 2 of 2 partitions search", "")
    assert f"weeks {oldest} to {WEEK}" in viewer.get(PAGE, {"symbol": "aapl"}).context["heading"]


def test_the_api_has_what_the_page_shows(viewer: Client) -> None:
    for asked in ({"symbol": "aapl", "tier": "OTC"}, {"issue": "msft"}, {"venue": "alert", "sort": "shares"}):
        shown = viewer.get(PAGE, asked).context
        data = viewer.get(shown["api_url"]).json()

        assert [(row["symbol"], row["capture_id"]) for row in data["data"]] == [
            (line.row["symbol"], line.row["capture_id"]) for line in shown["lines"]
        ]
        assert f"{data['meta']['summary']['rows']:,} row" in shown["heading"]


def test_names_from_outside_are_escaped(viewer: Client) -> None:
    page = viewer.get(PAGE, {"venue": "alert"}).content.decode()

    assert SCRIPT not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"as_of": "2999-01-01T00:00"}, "this instant is in the future"),
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
        ({"symbol": "AAP"}, "There is no symbol AAP: these are of AAPL."),
        ({"venue": "alert"}, "No MPID or CRD number is alert: these are of"),
    ],
)
def test_what_cannot_be_asked_is_said_where_it_was_typed(viewer: Client, asked: dict[str, str], told: str) -> None:
    answer = viewer.get(PAGE, asked)

    assert answer.status_code == 200
    assert told in answer.content.decode()


def test_the_next_page_goes_on_and_keeps_the_question(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_rows, "PAGE", 3)
    capture = Capture.objects.get(partition__tier="OTC")

    first = viewer.get(PAGE, {"capture": capture.capture_id})
    second = viewer.get(PAGE + first.context["next_url"])

    assert first.context["next_url"].startswith(f"?capture=finra.otc_transparency%3AOTC%3A{WEEK}%3A20251226&after=")
    assert [len(one.context["lines"]) for one in (first, second)] == [3, 1]
    assert (second.context["next_url"], second.context["older_url"]) == ("", "")
    assert second.context["heading"] == f"4 rows in 1 of 1 partition searched, week {WEEK}"


@pytest.mark.parametrize(
    "after",
    ["", "2025-11-14", '{"week_ending": 1}', "1e999", "[" * 3000, "[[1]]", '["2025-11-14", {}]', '["half', "\x00"],
)
def test_a_place_of_ones_own_is_the_start(viewer: Client, after: str) -> None:
    assert len(viewer.get(PAGE, {"tier": "OTC", "after": after}).context["lines"]) == 4


@pytest.mark.parametrize("odd", [10**30, 1e308, "NaN", "\ud800", True])
def test_a_list_that_is_no_place_is_said_to_be_none(viewer: Client, odd: object) -> None:
    week, tier, symbol, shares, *rest = readers.row_search(tier="OTC").page(None, 1).next or ()
    for after in ([odd], [week, tier, symbol, odd, *rest], [week, tier, symbol, shares, *rest]):
        answer = viewer.get(PAGE, {"tier": "OTC", "after": json.dumps(after)})
        told = "is no place in this answer" in answer.content.decode()
        assert (answer.status_code, told) == (200, odd in after), after


def test_as_of_before_the_first_capture_nothing_was_known(viewer: Client) -> None:
    page = viewer.get(PAGE, {"as_of": "2020-01-01T00:00", "tier": "OTC"}).content.decode()

    assert "Nothing is captured there yet" in page


def test_a_lost_vintage_file_is_a_sentence_with_what_repairs_it(viewer: Client) -> None:
    capture = Capture.objects.get(partition__tier="OTC")
    default_storage.delete(capture.vintage_path)

    page = viewer.get(PAGE, {"symbol": "AAPL"})
    download = viewer.get(CSV, {"symbol": "AAPL"})

    for answer in (page, download):
        assert f"{capture}: its vintage file is missing" in answer.content.decode()
        assert "rebuild_vintages" in answer.context["trouble"]
    assert (page.status_code, download.status_code) == (200, 409)


def test_a_vintage_file_that_cannot_be_read_is_a_sentence_too(viewer: Client) -> None:
    """Without permission, say: here a link to itself, a folder, and a disk that fails."""
    capture = Capture.objects.get(partition__tier="OTC")
    path = Path(default_storage.path(capture.vintage_path))
    path.unlink()
    path.symlink_to(path.name)
    seen = [viewer.get(address, {"symbol": "AAPL"}) for address in (PAGE, CSV)]
    path.unlink()
    path.mkdir()
    seen += [viewer.get(address, {"symbol": "AAPL"}) for address in (PAGE, CSV)]

    assert [answer.status_code for answer in seen] == [200, 409, 200, 409]
    assert f"{capture}: its vintage file cannot be read: " in seen[0].context["trouble"]
    assert all("rebuild_vintages" in answer.context["trouble"] for answer in seen)


def test_a_disk_that_fails_is_a_sentence_too(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **_named: object) -> None:
        raise OSError(errno.EIO, "Input/output error", "file")

    monkeypatch.setattr(read, "_as_written", fails)
    for address, status in ((PAGE, 200), (CSV, 409)):
        answer = viewer.get(address, {"symbol": "AAPL"})
        assert answer.status_code == status
        assert answer.context["trouble"].startswith("file: Input/output error; the disk fails: look at it")


def lines(client: Client, asked: dict[str, str]) -> list[list[str]]:
    answer = client.get(CSV, asked)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.reader(io.StringIO(answer.getvalue().decode(), newline="")))


def test_the_csv_has_all_rows_and_no_formula(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_rows, "PAGE", 1)
    capture = Capture.objects.get(partition__tier="OTC")

    head, *rows = lines(viewer, {"tier": "OTC"})

    assert head == list(readers.DATASETS["rows"].names)
    firm = ["'+ADD", "'+ADD Inc", "", "", SCRIPT, "", "7", "1", "", "2025-12-15", capture.capture_id, "1"]
    assert rows[0] == ["2025-11-14", "2025-11-10", "OTC", "NON_ATS", *firm]
    assert [(row[4], row[6], row[10]) for row in rows[1:]] == [
        ("AAPL", "UBSA", "100.5"),
        ("AAPL", "SGMT", "50"),
        ("MSFT", "UBSA", "25.25"),
    ]
    assert lines(viewer, {"symbol": "NOPE"}) == [head]


def test_the_parquet_file_has_the_same_rows_with_their_types(viewer: Client) -> None:
    answer = viewer.get(PARQUET, {"symbol": "AAPL", "tier": "OTC"})

    found = pl.read_parquet(io.BytesIO(answer.content))
    assert found.select("symbol", "mpid", "shares", "version").rows() == [
        ("AAPL", "UBSA", Decimal("100.5"), 1),
        ("AAPL", "SGMT", Decimal(50), 1),
    ]
    assert found.schema["shares"] == pl.Decimal(18, 6)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="rows_AAPL_OTC.parquet"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_invented_rows_say_so_in_either_file(viewer: Client) -> None:
    LedgerKind.objects.decide(DataKind.SAMPLES)

    head, *rows = lines(viewer, {"symbol": "MSFT"})
    answer = viewer.get(PARQUET, {"symbol": "MSFT"})

    assert (head[-1], [row[-1] for row in rows]) == ("samples", ["invented"])
    assert pl.read_parquet(io.BytesIO(answer.content))["samples"].to_list() == ["invented"]
    assert 'filename="samples_rows_MSFT.parquet"' in answer.headers["Content-Disposition"]


def test_a_download_of_what_cannot_be_asked_is_refused_with_the_page(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of_rows, "MOST_DOWNLOADED", 3)

    bad, many = viewer.get(CSV, {"tier": "NASDAQ"}), viewer.get(PARQUET, {"capture": "OTC:2025-11-14:20251226"})

    assert (bad.status_code, many.status_code) == (400, 409)
    assert "NASDAQ is not one of the available choices" in bad.content.decode()
    assert "4 rows fit, and a download has at most 3: narrow the search." in many.content.decode()


def test_who_may_not_see_captures_sees_no_rows(ledger: Ledger) -> None:
    nobody = Client()
    nobody.force_login(User.objects.create_user("nina", is_staff=True))
    assert [nobody.get(page).status_code for page in (PAGE, CSV, PARQUET)] == [403, 403, 403]


@pytest.mark.parametrize("tier", [KEY.tier, T1.tier])
def test_a_tier_alone_is_searched_in_its_newest_week(viewer: Client, tier: str) -> None:
    assert {line.row["tier"] for line in viewer.get(PAGE, {"tier": tier}).context["lines"]} == {tier}
