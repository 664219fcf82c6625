"""What is done to a payload that has arrived: once where its bytes are new, and not at all where they are held."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra import reader, zstd
from pipeline.finra.payloads import Part, PartName, Payload
from pipeline.finra.sources.files.file_names import file_name
from pipeline.finra.sources.files.source import FilesSource, SingleFile
from pipeline.models import Anomaly, Capture, Category, Outcome
from pipeline.vintages import archive
from tests.support.capturing import DAY, KEY, captured, offered, open_anomalies
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, psv, row

TERMS = Terms(run_date=DAY)
CAP = 10**6
ATS = psv(row("AAPL", "UBSA", 1), row("AAPL", "UBSA", 2), row("IBM", "SGMT", "x"), row("MSFT", "SGMT", 3))
FIRMS = psv(row("AAPL", "", 1, name="A firm"), "too|short")


def published(folder: Path, *names: str) -> Path:
    """A folder with a partition's files of two rows."""
    for name in names:
        (folder / name).write_bytes(psv(row("AAPL", "UBSA", 1), row("IBM", "UBSA", 2)))
    return folder


@pytest.mark.promise(11)
def test_files_at_hand_read_as_their_payload_does() -> None:
    source = MemorySource()
    source.publish(KEY, ATS, FIRMS)
    packed = source.payloads[KEY]
    parts = (Part(PartName.ATS, ATS), Part(PartName.NON_ATS, FIRMS))
    at_hand = Payload(packed.pieces, packed.format, packed.uri, packed.fetched_at, parts=parts)
    of_parts, of_bytes = (reader.read_fetched(payload, KEY, 1) for payload in (at_hand, packed))
    assert of_parts.frame.equals(of_bytes.frame)
    assert (of_parts.rejects, of_parts.parts, of_parts.content_hash) == (
        of_bytes.rejects,
        of_bytes.parts,
        of_bytes.content_hash,
    )
    assert [(reject.part, reject.line) for reject in of_parts.rejects] == [
        ("ats.psv", 3),
        ("ats.psv", 4),
        ("nonats.psv", 3),
    ]


def test_bytes_are_looked_through_unless_the_same_source_delivered_them_before(ledger: Ledger, tmp_path: Path) -> None:
    published(tmp_path, file_name(KEY))
    assert ingest.ingest(KEY, FilesSource(tmp_path, CAP), TERMS).outcome == Outcome.INGESTED
    again = ingest.ingest(KEY, FilesSource(tmp_path, CAP, 1), TERMS)
    by_hand = ingest.ingest(KEY, SingleFile(tmp_path / file_name(KEY), KEY, CAP, 1), TERMS)
    assert (again.outcome, again.reason) == (Outcome.UNCHANGED, "unchanged: the same bytes as captured")
    said = f"{file_name(KEY)} has more than 1 lines: if that is right, raise MARKETSPINE_MAX_ROWS"
    assert (by_hand.outcome, by_hand.reason) == (Outcome.FAILED, said)


def test_only_new_bytes_are_compressed(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    compressed, contents = zstd.compressed, list[bytes]()

    def told(content: bytes) -> bytes:
        contents.append(content)
        return compressed(content)

    monkeypatch.setattr(zstd, "compressed", told)
    source = MemorySource()
    source.publish_rows(KEY, [row("AAPL", "UBSA", 1)])
    outcomes = [ingest.ingest(KEY, source, TERMS).outcome for _ in range(2)]
    assert outcomes == [Outcome.INGESTED, Outcome.UNCHANGED]
    assert contents == [source.payloads[KEY].content]


def test_compressing_that_fails_makes_no_capture(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(content: bytes) -> bytes:
        raise MemoryError

    source = MemorySource()
    source.publish_rows(KEY, [row("AAPL", "UBSA", 1)])
    with monkeypatch.context() as failing:
        failing.setattr(zstd, "compressed", fail)
        with pytest.raises(MemoryError):
            ingest.ingest(KEY, source, TERMS)
    assert (Capture.objects.count(), open_anomalies()) == (0, [])
    assert ingest.ingest(KEY, source, TERMS).outcome == Outcome.INGESTED


@pytest.mark.parametrize("content", [ATS, b"<html>", ATS.replace(b"AAPL", b"\xff")])
def test_new_bytes_that_the_source_refuses_are_not_read_to_a_result(
    ledger: Ledger, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / file_name(KEY)).write_bytes(content + b"\n" * 9)
    result = ingest.ingest(KEY, FilesSource(tmp_path, CAP, 7), TERMS)
    said = f"{file_name(KEY)} has more than 7 lines: if that is right, raise MARKETSPINE_MAX_ROWS"
    assert (result.outcome, result.reason) == (Outcome.FAILED, said)
    assert [anomaly.category for anomaly in Anomaly.objects.open()] == [Category.FETCH_FAILED]


def test_rows_that_are_lost_for_good_are_not_needed_for_a_replay(ledger: Ledger) -> None:
    source, rows = MemorySource(), [row("AAPL", "UBSA", 1), row("IBM", "UBSA", 2)]
    held = captured(source, rows)
    default_storage.delete(held.vintage_path)
    default_storage.delete(archive.path_of(held.payload_sha256))
    assert offered(source, reversed(rows)).outcome == Outcome.UNCHANGED


@settings(max_examples=50)
@given(
    st.lists(
        st.sampled_from([b"ab", b"|", b"\n", b"\r", b'"', b"#", b"\0", b"\xff", b"x\x9c", b"\x1f\x8b", b"\xef\xbb\xbf"])
    )
)
def test_newlines_are_counted_whatever_the_bytes(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    assert Part(PartName.ATS, content).newlines == content.count(b"\n")


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_a_source_of_files_leaves_the_connection_open(ledger: Ledger, tmp_path: Path) -> None:
    def server() -> int:
        """The process of PostgreSQL that this connection has."""
        connection.ensure_connection()
        return int(connection.connection.info.backend_pid)

    source = MemorySource()
    source.publish_rows(KEY, [row("AAPL", "UBSA", 1)])
    before = server()
    ingest.ingest(KEY, FilesSource(published(tmp_path, file_name(KEY)), CAP), TERMS)
    assert server() == before
    ingest.ingest(KEY, source, TERMS)
    assert server() != before
