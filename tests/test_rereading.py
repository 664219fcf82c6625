"""Reading by difference gives what parsing the whole payload gives, or declines."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.calendar import PartitionKey, Tier
from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.models import Capture, Outcome
from pipeline.parsed import Parsed
from pipeline.parsing import UnreadablePayload, parse
from pipeline.rereading import Declined, Earlier, differing, reread
from pipeline.sources.base import Part, PartName, PayloadFormat, pack
from pipeline.vintages import archive
from tests.engines import Ledger, wipe
from tests.sources_in_memory import MemorySource, psv, row

WEEK = date(2025, 11, 14)
KEY = PartitionKey(WEEK, Tier.OTC)
RUN_DATE = date(2025, 12, 26)

SYMBOLS = [f"S{n:03}" for n in range(60)]
LINES = [row(symbol, mpid, 100 + n, n + 1) for n, symbol in enumerate(SYMBOLS) for mpid in ("AAAA", "BBBB")]


def whole(content: bytes, payload_format: PayloadFormat = PayloadFormat.PSV) -> Parsed:
    return parse(content, payload_format, Tier.OTC, max_reject_share=1)


def earlier_of(content: bytes, payload_format: PayloadFormat = PayloadFormat.PSV) -> Earlier:
    parsed = whole(content, payload_format)
    figures_ = (parsed.rows_non_ats, parsed.shares, parsed.shares_non_ats, parsed.trades)
    return Earlier(content, payload_format, parsed.canonical, *figures_)


def figures(parsed: Parsed) -> tuple[object, ...]:
    return (
        parsed.rows_in,
        parsed.rows_kept,
        parsed.rows_non_ats,
        parsed.rejects,
        parsed.shares,
        parsed.shares_non_ats,
        parsed.trades,
        parsed.parts,
        parsed.canonical,
        parsed.content_hash,
        parsed.updates,
    )


edits = st.lists(
    st.tuples(
        st.sampled_from(["change", "remove", "add", "move", "spell", "rename"]),
        st.integers(0, 119),
        st.integers(0, 10**9),
    ),
    max_size=12,
)


def edited(lines: list[str], what: str, at: int, number: int) -> list[str]:
    """`lines` after one edit, as a restatement may make it, or as a file may be written otherwise."""
    at %= len(lines)
    line = lines[at]
    fields = line.split("|")
    match what:
        case "change":
            fields[5] = str(number)
        case "spell":
            fields[5] = f"{fields[5]}.0"
        case "rename":
            fields[3] = f"NAME {number}"
        case "remove":
            return lines[:at] + lines[at + 1 :]
        case "add":
            return [*lines[:at], row(f"N{number}", "AAAA", number), *lines[at:]]
        case "move":
            return [*lines[:at], *lines[at + 1 :], line]
    return [*lines[:at], "|".join(fields), *lines[at + 1 :]]


@given(edits)
def test_reading_by_difference_is_reading_the_whole(steps: list[tuple[str, int, int]]) -> None:
    after = LINES
    for what, at, number in steps:
        after = edited(after, what, at, number)
    parsed = whole(psv(*after))
    read = reread(earlier_of(psv(*LINES)), psv(*after), PayloadFormat.PSV, Tier.OTC)
    if read is None:
        return
    assert read.gone is not None
    assert figures(read) == figures(parsed)
    before, now = set(whole(psv(*LINES)).rows.canonical()), set(parsed.rows.canonical())
    assert sorted(read.gone.canonical()) == sorted(before - now)
    assert sorted(read.rows.canonical()) == sorted(now - before)


def test_a_few_changed_lines_are_all_that_is_read() -> None:
    after = edited(edited(edited(LINES, "change", 3, 7), "remove", 70, 0), "add", 100, 5)
    read = reread(earlier_of(psv(*LINES)), psv(*after), PayloadFormat.PSV, Tier.OTC)
    assert read is not None
    assert read.gone is not None
    assert (len(read.rows), len(read.gone)) == (2, 2)
    assert figures(read) == figures(whole(psv(*after)))


def test_two_parts_are_compared_each_with_its_own() -> None:
    firms = [row(symbol, "", 50, name="Firm LLC") for symbol in SYMBOLS]
    before = pack((Part(PartName.ATS, psv(*LINES)), Part(PartName.NON_ATS, psv(*firms))))
    after = pack((Part(PartName.ATS, psv(*LINES)), Part(PartName.NON_ATS, psv(*edited(firms, "change", 5, 9)))))
    read = reread(earlier_of(*before), *after, Tier.OTC)
    assert read is not None
    assert len(read.rows) == 1
    assert figures(read) == figures(whole(*after))


@pytest.mark.parametrize(
    ("what", "after"),
    [
        ("a reject among the new lines", [*LINES[:-1], "OTC|short"]),
        ("a key that another line has", [*LINES, row("S000", "AAAA", 1)]),
        (
            "one row in two spellings",
            [
                *LINES[:-1],
                LINES[-1].replace("|159|", "|159.0|"),
                row("N1", "AAAA", 5),
                row("N1", "AAAA", "5.0", name="ANOTHER NAME"),
            ],
        ),
        ("most lines differ", [row(symbol, "AAAA", 1) for symbol in SYMBOLS]),
    ],
)
def test_what_the_difference_cannot_tell_is_declined(what: str, after: list[str]) -> None:
    assert reread(earlier_of(psv(*LINES)), psv(*after), PayloadFormat.PSV, Tier.OTC) is None, what


def test_another_header_or_another_set_of_parts_is_declined() -> None:
    earlier = earlier_of(psv(*LINES))
    swapped = psv(*LINES).replace(b"MPID|total", b"MPID|Total")
    assert reread(earlier, swapped, PayloadFormat.PSV, Tier.OTC) is None
    parts = pack((Part(PartName.ATS, psv(*LINES)), Part(PartName.NON_ATS, psv(row("S000", "", 1, name="Firm")))))
    assert reread(earlier, *parts, Tier.OTC) is None


def test_an_error_page_is_declined_and_then_refused() -> None:
    assert reread(earlier_of(psv(*LINES)), b"<html>", PayloadFormat.PSV, Tier.OTC) is None
    with pytest.raises(UnreadablePayload):
        whole(b"<html>")


def test_differing_lines_are_found_wherever_they_stand() -> None:
    old = [f"line {n}" for n in range(5000)]
    new = [line for line in old if line not in ("line 0", "line 2500", "line 4999")]
    new.insert(1000, "new")
    assert differing(old, new) == (["line 0", "line 2500", "line 4999"], ["new"])
    assert differing(old, old) == ([], [])
    with pytest.raises(Declined):
        differing(old, list(reversed(old)))


def test_a_restatement_is_stored_alike_with_and_without_the_earlier_reading(ledger: Ledger) -> None:
    """What is read by difference and what is read whole leave the same rows, counts and hashes."""
    source, seen = MemorySource(), []
    after = edited(edited(LINES, "change", 3, 7), "remove", 70, 0)
    for lose_the_reading in (False, True):
        wipe()
        source.publish_rows(KEY, LINES)
        first = ingest.ingest(KEY, source, Terms(run_date=RUN_DATE)).capture
        assert first is not None
        if lose_the_reading:
            archive.discard(first.content_hash, archive.Shelf.READINGS)
        source.publish_rows(KEY, after)
        assert ingest.ingest(KEY, source, Terms(run_date=RUN_DATE)).outcome is Outcome.RESTATED
        newest = Capture.objects.latest("version")
        counts = (newest.rows_added, newest.rows_changed, newest.rows_removed, newest.rows_unchanged)
        seen.append((counts, newest.content_hash, newest.shares, newest.reason))
    assert seen[0] == seen[1]
    assert seen[0][0] == (0, 1, 1, 118)


def test_only_the_newest_reading_of_a_partition_is_kept(ledger: Ledger) -> None:
    source = MemorySource()
    source.publish_rows(KEY, LINES)
    first = ingest.ingest(KEY, source, Terms(run_date=RUN_DATE)).capture
    source.publish_rows(KEY, edited(LINES, "change", 3, 7))
    second = ingest.ingest(KEY, source, Terms(run_date=RUN_DATE)).capture
    assert first is not None
    assert second is not None
    with pytest.raises(archive.ArchiveDamaged):
        archive.get(first.content_hash, archive.Shelf.READINGS)
    assert archive.get(second.content_hash, archive.Shelf.READINGS).count(b"\n") == second.rows_kept
    assert archive.get(first.payload_sha256).count(b"\n") == first.rows_in + 1
