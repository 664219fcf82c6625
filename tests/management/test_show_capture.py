"""`show_capture`: a vintage's figures, and whether the archive and the rows still are what it says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipeline.models import Capture
from pipeline.vintages import archive
from tests.management.calling import call
from tests.management.publications import DAY, OTC, ROWS, WEEK, capture_id, content, publish
from tests.support.engines import Ledger
from tests.vintages.frames import tampered_with

pytestmark = pytest.mark.usefixtures("few_rows")

FRACTIONS = (("AAPL", "UBSA", "0.1", 3), ("AAPL", "SGMT", "999999999999.000001", 2), ("ZZZZ", "SGMT", "0.2", 1))
REJECTED = b"OTC|BAD|Bad Inc|UBSA NAME|UBSA|-5|1|2025-12-15\n"


@pytest.fixture
def captured(source_dir: Path) -> Path:
    """The source folder; its one file is captured by `capture`."""
    publish(source_dir, OTC, content(OTC, FRACTIONS))
    return source_dir


def capture() -> Capture:
    """Capture what the folder has now; the newest capture."""
    call("run_weekly", "--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY)
    return Capture.objects.latest("version")


def payload_file(archive_dir: Path, made: Capture) -> Path:
    """The archived payload."""
    return archive_dir / archive.path_of(made.payload_sha256)


def test_the_document_has_the_figures_with_sums_as_exact_decimal_text(ledger: Ledger, captured: Path) -> None:
    made = capture()

    ran = call("show_capture", capture_id(OTC), "--json")

    assert ran.code == 0
    shown = ran.document
    expected = {
        "capture_id": "finra.otc_transparency:OTC:2025-11-14:20251215",
        "week_ending": "2025-11-14",
        "tier": "OTC",
        "version": 1,
        "is_latest": True,
        "kind": "FIRST",
        "rows_in": 3,
        "rows_kept": 3,
        "rows_rejected": 0,
        "shares": "999999999999.300001",
        "trades": 6,
        "rows_added": 3,
        "rows_changed": 0,
        "rows_removed": 0,
        "payload_sha256": hashlib.sha256(content(OTC, FRACTIONS)).hexdigest(),
        "content_hash": made.content_hash,
    }
    assert {name: shown[name] for name in expected} == expected
    assert [manifest["stage"] for manifest in shown["manifests"]] == ["RAW", "NORMALIZED"]
    assert shown["rejects"] == []


def test_a_restatement_shows_what_it_added_changed_and_removed(ledger: Ledger, captured: Path) -> None:
    publish(captured, OTC)
    capture()
    publish(captured, OTC, content(OTC, (("AAPL", "UBSA", "7", 3), *ROWS[1:], ("NEWW", "SGMT", "1", 1))))
    capture()

    shown = call("show_capture", capture_id(OTC, 2), "--json").document

    assert (shown["version"], shown["kind"]) == (2, "RESTATEMENT")
    assert (shown["rows_added"], shown["rows_changed"], shown["rows_removed"], shown["rows_unchanged"]) == (1, 1, 0, 3)
    assert call("show_capture", capture_id(OTC), "--json").document["is_latest"] is False


@pytest.mark.promise(11)
def test_rejected_lines_are_listed_with_their_number_and_reason(ledger: Ledger, source_dir: Path) -> None:
    many = tuple((f"S{number}", "UBSA", "1", 1) for number in range(60))
    publish(source_dir, OTC, content(OTC, many) + REJECTED)
    capture()

    shown = call("show_capture", capture_id(OTC), "--json").document

    assert (shown["rows_in"], shown["rows_kept"], shown["rows_rejected"]) == (61, 60, 1)
    assert shown["rejects"] == [
        {"part": "ats.psv", "line": 62, "reason": "NEGATIVE_SHARES", "text": REJECTED.decode().strip()}
    ]


def test_the_text_form_has_the_same_figures(ledger: Ledger, captured: Path) -> None:
    capture()

    lines = call("show_capture", capture_id(OTC)).lines

    assert lines[0] == "Capture:"
    assert "  shares            999999999999.300001" in lines
    assert "  capture_id        finra.otc_transparency:OTC:2025-11-14:20251215" in lines
    assert "Manifests:" in lines


def test_verify_reads_the_archive_back(ledger: Ledger, captured: Path) -> None:
    made = capture()

    ran = call("show_capture", capture_id(OTC), "--verify")
    document = call("show_capture", capture_id(OTC), "--verify", "--json").document

    assert ran.code == 0
    assert ran.lines[-4:] == [
        f"verified: the archived payload is whole ({made.payload_bytes} bytes, SHA-256 as captured)",
        "verified: it reads as the captured rows (content hash)",
        f"verified: the vintage file is what was written ({made.vintage_bytes:,} bytes, SHA-256 as recorded)",
        "verified: it has the captured rows (content hash): 3 rows, 999999999999.300001 shares, 6 trades",
    ]
    assert document["verified"] is True
    assert [check["holds"] for check in document["checks"]] == [True] * 4


def test_verify_finds_a_payload_that_is_missing(ledger: Ledger, captured: Path, archive_dir: Path) -> None:
    made = capture()
    payload_file(archive_dir, made).unlink()

    ran = call("show_capture", capture_id(OTC), "--verify")

    assert ran.code == 1
    told = f"NOT VERIFIED: the archived payload {made.payload_sha256[:16]} is missing ("
    assert [line.startswith(told) for line in ran.lines[-3:]] == [True, False, False]


def test_verify_finds_a_payload_that_was_exchanged(ledger: Ledger, captured: Path, archive_dir: Path) -> None:
    made = capture()
    other = b"not this"
    archive.put(other, hashlib.sha256(other).hexdigest())
    exchanged = archive_dir / archive.path_of(hashlib.sha256(other).hexdigest())
    exchanged.replace(payload_file(archive_dir, made))

    ran = call("show_capture", capture_id(OTC), "--verify", "--json")

    assert ran.code == 1
    assert ran.document["verified"] is False
    assert ran.document["checks"][0] == {
        "what": f"the archived payload {made.payload_sha256[:16]} is not what was archived: its hash differs",
        "holds": False,
    }


def test_verify_finds_a_payload_that_is_cut_short(ledger: Ledger, captured: Path, archive_dir: Path) -> None:
    stored = payload_file(archive_dir, capture())
    stored.write_bytes(stored.read_bytes()[:-7])

    ran = call("show_capture", capture_id(OTC), "--verify")

    assert ran.code == 1
    assert "NOT VERIFIED: the archived payload" in ran.lines[-3]


def test_verify_finds_rows_that_were_tampered_with(ledger: Ledger, captured: Path) -> None:
    """The file is what the ledger says was written: its rows are not those of the payload."""
    tampered_with(capture())

    ran = call("show_capture", capture_id(OTC), "--verify")

    assert ran.code == 1
    assert ran.lines[-1] == (
        "NOT VERIFIED: it has the captured rows (content hash): 3 rows, 999999999999.300001 shares, 7 trades"
    )


def test_an_unknown_capture_names_those_of_the_partition(ledger: Ledger, captured: Path) -> None:
    capture()

    ran = call("show_capture", "finra.otc_transparency:OTC:2025-11-14:20251216")

    assert ran.code == 2
    assert ran.err.strip() == (
        "CommandError: there is no capture 'finra.otc_transparency:OTC:2025-11-14:20251216'; "
        "of that partition there are: finra.otc_transparency:OTC:2025-11-14:20251215"
    )
