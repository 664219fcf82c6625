"""What must not get lost unnoticed: a kind of volume, an archived payload, the word that a week is not judged yet."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from django.core.files.storage import default_storage

from pipeline.capture import ingest
from pipeline.capture.decision import SAME_ROWS
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier, due_date, last_fridays
from pipeline.integrity import losses
from pipeline.models import (
    Anomaly,
    Capture,
    Category,
    Check,
    FileCheck,
    FileState,
    Outcome,
    Partition,
    Readiness,
    ReadinessState,
    RunPartition,
    RunStatus,
    Severity,
)
from pipeline.runs import in_process, lifecycle
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from pipeline.vintages import archive, files, read
from pipeline.vintages.files import StorageAway
from pipeline.vintages.read import NoSuchVintage
from pipeline.weeks import analytics, readiness
from tests.support.engines import Ledger
from tests.support.failing import failing_at
from tests.support.sources_in_memory import MemorySource, psv, row

WEEK = date(2025, 11, 14)
KEY = PartitionKey(WEEK, Tier.OTC)
DAY = date(2026, 1, 5)
ATS = [row(f"S{n:02}", "AAAA", n + 1) for n in range(50)]
FIRMS = [row(f"S{n:02}", "", n + 1, name="Firm One") for n in range(5)]


def offered(source: MemorySource, *, force: bool = False, normalize: bool = True) -> Result:
    return ingest.ingest(KEY, source, Terms(run_date=DAY, force=force, normalize=normalize))


@pytest.mark.promise(4)
def test_a_file_of_two_that_is_missing_is_refused(ledger: Ledger) -> None:
    """Non-ATS firms are a sixth of FINRA's rows: all of them may go within the limit for the whole payload."""
    source = MemorySource()
    source.publish(KEY, psv(*ATS), psv(*FIRMS))
    assert offered(source).outcome is Outcome.INGESTED
    source.publish(KEY, psv(*ATS))
    result = offered(source)
    said = "the non-ATS file is missing beside 2025-11-14 OTC: no non-ATS rows, and version 1 has them; bring both; "
    assert (result.outcome, result.reason) == (Outcome.REFUSED, f"{said}if it is right all the same, force it")
    assert Anomaly.objects.get().category == Category.REFUSED
    assert read.latest([KEY]).collect().height == 55
    assert offered(source, force=True).outcome is Outcome.RESTATED


def test_a_lost_payload_is_restored_from_the_source(ledger: Ledger) -> None:
    source = MemorySource()
    source.publish_rows(KEY, ATS)
    capture = offered(source, normalize=False).capture
    assert capture is not None
    default_storage.delete(archive.path_of(capture.payload_sha256))
    assert offered(source).outcome is Outcome.UNCHANGED
    capture.refresh_from_db()
    assert capture.normalized_at is not None
    assert read.latest([KEY]).collect().height == 50


@pytest.mark.parametrize("state", [FileState.MISSING, FileState.DAMAGED])
def test_the_same_rows_in_other_bytes_stand_in_for_a_lost_payload(ledger: Ledger, state: FileState) -> None:
    source = MemorySource()
    source.publish_rows(KEY, ATS)
    lost = offered(source).capture
    assert lost is not None
    path = archive.path_of(lost.payload_sha256)
    default_storage.delete(path)
    if state is FileState.DAMAGED:
        files.save(path, b"something else")
    losses.check(DAY, read=9)
    assert FileCheck.objects.get(sha256=lost.payload_sha256).state == state

    source.publish_rows(KEY, ATS[::-1])
    found = offered(source)
    said = "the archive has lost the payload of version 1; the source has the same rows in other bytes"
    assert (found.outcome, found.reason) == (
        Outcome.UNCHANGED,
        f"{said}: +0 rows, 0 changed, 0 gone; lastUpdateDate equal",
    )
    evidence = Capture.objects.get(version=2)
    assert (evidence.kind, evidence.cause, evidence.content_hash) == ("EVIDENCE", "SOURCE", lost.content_hash)
    assert archive.is_whole(evidence.payload_sha256)
    assert list(Check.objects.order_by("pk").values_list("outcome", flat=True)) == ["INGESTED", "UNCHANGED"]
    losses.check(DAY)
    assert not Anomaly.objects.open().exists()

    source.publish_rows(KEY, [*ATS[9:], *ATS[:9]])
    assert offered(source).reason == SAME_ROWS
    assert Capture.objects.count() == 2


def test_a_run_that_only_archives_stands_in_for_no_lost_payload(ledger: Ledger) -> None:
    source = MemorySource()
    source.publish_rows(KEY, ATS)
    lost = offered(source).capture
    assert lost is not None
    default_storage.delete(archive.path_of(lost.payload_sha256))
    source.publish_rows(KEY, ATS[::-1])
    assert offered(source, normalize=False).reason == SAME_ROWS
    assert Capture.objects.count() == 1


def test_a_payload_that_nobody_has_any_more_is_given_up_by_force(ledger: Ledger) -> None:
    source = MemorySource()
    source.publish_rows(KEY, ATS)
    lost = offered(source, normalize=False).capture
    assert lost is not None
    default_storage.delete(archive.path_of(lost.payload_sha256))
    source.publish_rows(KEY, [row("S00", "AAAA", 7), *ATS[1:]])
    assert offered(source).outcome is Outcome.FAILED
    assert Anomaly.objects.get().category == Category.ARCHIVE_DAMAGED
    assert offered(source, force=True).outcome is Outcome.RESTATED
    assert [capture.version for capture in Capture.objects.normalized()] == [2]
    assert read.latest([KEY]).collect().height == 50
    lost.refresh_from_db()
    with pytest.raises(NoSuchVintage):
        read.of_capture(lost)


def test_rows_are_given_up_only_with_the_capture_that_replaces_them(ledger: Ledger) -> None:
    source = MemorySource()
    source.publish_rows(KEY, ATS)
    lost = offered(source).capture
    assert lost is not None
    for path in (lost.vintage_path, archive.path_of(lost.payload_sha256)):
        default_storage.delete(path)
    source.publish_rows(KEY, [row("S00", "AAAA", 7), *ATS[1:]])

    with failing_at("publish.after", KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        offered(source, force=True)
    lost.refresh_from_db()
    assert lost.pruned_at is None

    assert offered(source, force=True).outcome is Outcome.RESTATED
    lost.refresh_from_db()
    assert lost.pruned_at is not None
    assert read.latest([KEY]).collect().height == 50


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_lost_or_given_up_while_the_archive_is_not_mounted(
    ledger: Ledger, archive_dir: Path, force: bool
) -> None:
    source = MemorySource()
    source.publish_rows(KEY, ATS)
    offered(source)
    source.publish_rows(KEY, ATS[1:])
    archived = offered(source, normalize=False).capture
    assert archived is not None
    source.publish_rows(KEY, [row("S00", "AAAA", 7), *ATS[1:]])

    mounted = archive_dir.rename(archive_dir.with_name("mounted"))
    with pytest.raises(StorageAway):
        offered(source, force=force)
    with pytest.raises(StorageAway):
        ingest.renormalize(KEY, Terms(run_date=DAY, force=force))
    archived.refresh_from_db()
    assert (archived.pruned_at, Anomaly.objects.count()) == (None, 0)

    mounted.rename(archive_dir)
    assert offered(source, force=force).outcome is Outcome.RESTATED
    assert [capture.version for capture in Capture.objects.normalized().order_by("version")] == [1, 2, 3]


def test_a_week_is_not_ready_from_the_moment_its_ground_moves(ledger: Ledger) -> None:
    """A process that dies between a capture and the verdict leaves no READY behind."""
    for tier in Tier:
        source, key = MemorySource(), PartitionKey(WEEK, tier)
        source.publish_rows(key, [row("A", "AAAA", 1, tier=tier, updated=due_date(tier, WEEK).isoformat())])
        ingest.ingest(key, source, Terms(run_date=DAY))
    analytics.calculate_week(WEEK)
    readiness.decide_week(WEEK, DAY)
    assert {verdict.state for verdict in Readiness.objects.all()} == {ReadinessState.READY}
    source.publish_rows(KEY, [row("A", "AAAA", 2)])
    offered(source)
    assert {verdict.state for verdict in Readiness.objects.all()} == {ReadinessState.BLOCKED}
    reason = "finra.otc_transparency:OTC:2025-11-14:20260105.2 was captured; the week is not judged again yet"
    assert Readiness.objects.first().reasons == [reason]  # type: ignore[union-attr]
    analytics.calculate_week(WEEK)
    readiness.decide_week(WEEK, DAY)
    assert {verdict.state for verdict in Readiness.objects.all()} == {ReadinessState.READY}
    Anomaly.objects.record(Category.INTERNAL, Severity.ERROR, "broken", week_ending=WEEK)
    assert {verdict.state for verdict in Readiness.objects.all()} == {ReadinessState.BLOCKED}


def test_a_process_that_was_taken_back_does_not_interrupt_its_successor(ledger: Ledger) -> None:
    source = MemorySource()
    source.publish_rows(KEY, ATS)
    request = Request(command="backfill", run_date=DAY, weeks=(WEEK,), tiers=(Tier.OTC,))
    run = lifecycle.start(make_plan(request, {KEY}))

    def taken_over(_: RunPartition) -> None:
        type(run).objects.filter(pk=run.pk).update(worker="elsewhere:1:beef")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_process.execute(run, source, taken_over)
    run.refresh_from_db()
    assert (run.status, run.worker) == (RunStatus.RUNNING, "elsewhere:1:beef")


def test_five_years_of_partitions_are_asked_for_at_once(ledger: Ledger) -> None:
    """On SQLite a condition may be a thousand deep, and no deeper."""
    keys = [PartitionKey(week, tier) for week in last_fridays(400, WEEK) for tier in Tier]
    Partition.objects.bulk_create(Partition(week_ending=key.week_ending, tier=key.tier) for key in keys)
    assert Partition.objects.for_keys(keys).count() == 1200
    assert read.latest(keys).collect().height == 0
