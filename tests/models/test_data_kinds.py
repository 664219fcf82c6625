"""A ledger takes FINRA's data or samples, never both, whoever asks and in whatever way; and samples are marked."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.db import IntegrityError, transaction
from django.test import Client
from pytest_django import Settings

from pipeline import operations
from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import Tier
from pipeline.finra.samples import mark
from pipeline.finra.sources.base import MixedData
from pipeline.management.base import SAMPLES
from pipeline.models import Anomaly, Capture, DataKind, LedgerKind, Partition, Run
from pipeline.models.data_kinds import APART, DEMO_ONLY
from pipeline.models.ledger_kind import REFUSALS
from pipeline.operations import Order, Refused
from pipeline.runs import lifecycle, process_partition
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from tests.admin.vintages import signed_in
from tests.fake_finra import Catalogue, FinraServer, Options, Samples, Service
from tests.finra.sources.api.asking import client_of
from tests.management.calling import call, finish, start
from tests.management.publications import DAY, NEWER_WEEK, OLDER_WEEK, OTC, ROWS, TIER_1, WEEK, content, publish
from tests.support.engines import Begin, Ledger
from tests.support.sources_in_memory import MemorySource

NOTICE = "All of this is invented data"
RUN = ("--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY)
RANGE = ("--from", OLDER_WEEK, "--to", WEEK, "--tiers", "OTC", "--run-date", DAY)
COMMANDS: list[tuple[str, *tuple[object, ...]]] = [
    ("run_weekly", *RUN),
    ("run_weekly", *RUN, "--mode", "dry-run"),
    ("run_weekly", *RUN, "--force"),
    ("backfill", *RANGE),
]


@pytest.fixture(autouse=True)
def _apart(settings: Settings) -> None:
    """The test's ledger, archive and folder are of its own: it may have samples."""
    settings.MARKETSPINE_TAKES_SAMPLES = True


@pytest.fixture
def samples_dir(tmp_path: Path) -> Path:
    """A folder with the sample of one partition."""
    folder = tmp_path / "samples"
    folder.mkdir()
    publish(folder, OTC, mark(content(OTC)))
    return folder


@pytest.fixture
def real(begin: Begin) -> None:
    """A ledger with a capture of FINRA's data."""
    begin(one_captured)


def one_captured(source_dir: Path) -> None:
    publish(source_dir, OTC)
    assert call("run_weekly", *RUN).code == 0


@pytest.fixture
def invented(ledger: Ledger, samples_dir: Path, settings: Settings) -> Path:
    """A ledger with a capture of samples, in a shell whose settings ask for them; their folder."""
    settings.MARKETSPINE_SOURCE = "samples"
    settings.MARKETSPINE_SOURCE_DIR = str(samples_dir)
    assert call("run_weekly", *RUN).code == 0
    return samples_dir


def test_a_ledger_of_finras_data_takes_no_samples(real: None, samples_dir: Path) -> None:
    for words in COMMANDS:
        ran = call(*words, "--source", "samples", "--source-dir", samples_dir)
        assert (ran.code, ran.err.strip()) == (2, f"CommandError: {REFUSALS[DataKind.SAMPLES]}"), words
    assert (Capture.objects.count(), Run.objects.count(), Anomaly.objects.count()) == (1, 1, 0)


def test_a_ledger_of_samples_takes_none_of_finras_data(invented: Path, source_dir: Path) -> None:
    publish(source_dir, OTC)
    for words in COMMANDS:
        ran = call(*words, "--source", "files", "--source-dir", source_dir)
        assert (ran.code, REFUSALS[DataKind.REAL] in ran.err) == (2, True), words
    assert (Capture.objects.count(), Run.objects.count()) == (1, 1)


def test_finras_api_is_not_asked_for_a_ledger_of_samples(invented: Path) -> None:
    ran = call("run_weekly", *RUN, "--source", "api")
    assert (ran.code, REFUSALS[DataKind.REAL] in ran.err) == (2, True)


def test_a_file_by_hand_is_of_the_ledgers_kind(invented: Path, source_dir: Path) -> None:
    of_finras, sample = publish(source_dir, OTC), invented / "otc_week_2025-11-14.psv"
    where = ("--tier", "OTC", "--week", WEEK, "--run-date", DAY)
    ran = call("ingest_file", of_finras, *where)
    assert (ran.code, "otc_week_2025-11-14.psv holds no samples" in ran.err) == (2, True)
    of_finras.write_text("<html><h1>Service Unavailable</h1>\n</html>\n")
    ran = call("ingest_file", of_finras, *where)
    assert (ran.code, "holds no samples" in ran.err + ran.out, "HTML" in ran.err + ran.out) == (1, False, True)
    assert call("ingest_file", sample, *where).code == 0


@pytest.mark.parametrize("compressed", [False, True])
def test_a_sample_by_another_name_is_refused_by_hand(ledger: Ledger, tmp_path: Path, compressed: bool) -> None:
    file = tmp_path / "download.csv"
    file.write_bytes(gzip.compress(mark(content(OTC))) if compressed else mark(content(OTC)))
    ran = call("ingest_file", file, "--tier", "OTC", "--week", WEEK, "--run-date", DAY, "--force", "--reason", "mine")
    assert (ran.code, "download.csv holds invented samples" in ran.err) == (2, True)
    assert (Capture.objects.count(), LedgerKind.objects.found()) == (0, None)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_sample_among_finras_files_fails_its_partition(ledger: Ledger, source_dir: Path, suffix: str) -> None:
    publish(source_dir, OTC, mark(content(OTC)), suffix)
    ran = call("run_weekly", *RUN)
    assert (ran.code, "holds invented samples, and only FINRA's data is taken here: remove it" in ran.out) == (1, True)
    assert (Capture.objects.count(), LedgerKind.objects.found()) == (0, None)


def test_a_file_of_finras_among_samples_fails_its_partition(invented: Path) -> None:
    publish(invented, OTC)
    ran = call("run_weekly", *RUN)
    assert (ran.code, "keep your own data apart from them" in ran.out) == (1, True)
    assert Capture.objects.count() == 1


def test_the_settings_cannot_ask_for_samples_of_a_ledger_of_finras_data(real: None, settings: Settings) -> None:
    settings.MARKETSPINE_SOURCE = "samples"
    ran = call("serve", "--port", "0")
    assert (ran.code, REFUSALS[DataKind.SAMPLES] in ran.err) == (2, True)
    order = Order(operator="olive", reason="FINRA called")
    with pytest.raises(Refused, match="samples never go beside it"):
        operations.reingest(list(Partition.objects.all()), order)
    with pytest.raises(Refused, match="samples never go beside it"):
        operations.force_reingest(list(Partition.objects.all()), order)


def test_a_run_that_is_queued_captures_no_samples_beside_finras_data(real: None, samples_dir: Path) -> None:
    publish(samples_dir, OTC, mark(content(OTC, (("AAPL", "UBSA", "7", 7),))))
    asked = Request(command="run_weekly", run_date=DAY, weeks=(WEEK,), source="samples", origin=str(samples_dir))
    run = lifecycle.start(make_plan(asked))
    for step in run.partitions.all():
        process_partition.process(step.pk, "worker")
    assert Capture.objects.get().source == "files"
    assert {found.message for found in Anomaly.objects.all()} == {REFUSALS[DataKind.SAMPLES]}


def test_a_capture_decides_in_its_own_transaction(ledger: Ledger) -> None:
    source = MemorySource()
    source.publish(OTC, content(OTC))
    ingest.ingest(OTC, source, Terms(run_date=DAY))
    assert LedgerKind.objects.found() is DataKind.REAL
    source.publish(OTC, mark(content(OTC)))
    with pytest.raises(MixedData, match="samples never go beside it"):
        ingest.ingest(OTC, source, Terms(run_date=DAY, force=True))
    assert Capture.objects.count() == 1


def test_what_a_ledger_holds_is_one_row(ledger: Ledger) -> None:
    LedgerKind.objects.decide(DataKind.REAL)
    for other in (LedgerKind(pk=2, kind=DataKind.SAMPLES), LedgerKind(pk=1, kind="BOTH")):
        with pytest.raises(IntegrityError), transaction.atomic():
            other.save()


def test_of_two_first_captures_at_once_one_decides(
    ledger: Ledger, source_dir: Path, samples_dir: Path, tmp_path: Path
) -> None:
    publish(source_dir, TIER_1)
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    words = (
        "-m",
        "tests.faults.signalling",
        f"MEET={meeting}",
        "commit.before",
        "1",
        "run_weekly",
        "--weeks",
        WEEK,
    )
    started = [
        start(ledger, *words, *RUN[:2], *RUN[4:], "--source", source, "--source-dir", folder, "--tiers", tier)
        for source, folder, tier in (("files", source_dir, Tier.NMS_TIER_1), ("samples", samples_dir, Tier.OTC))
    ]
    ended = [finish(process) for process in started]
    assert len(list(meeting.iterdir())) == 2
    assert sorted(ran.code for ran in ended) == [0, 1], ended
    captured = Capture.objects.get()
    assert LedgerKind.objects.found() is (DataKind.SAMPLES if captured.source == "samples" else DataKind.REAL)
    assert Anomaly.objects.get().message in REFUSALS.values()


def test_a_finra_of_samples_is_told_by_its_rows(ledger: Ledger, settings: Settings) -> None:
    catalogue = Catalogue([WEEK], Samples(1, tapes=False, marked=True))
    with FinraServer(Service(catalogue, Options(requests_per_second=None), today=DAY)) as server:
        ingest.ingest(OTC, client_of(server), Terms(run_date=DAY))
        assert LedgerKind.objects.found() is DataKind.SAMPLES
        LedgerKind.objects.update(kind=DataKind.REAL)
        with pytest.raises(MixedData, match="samples never go beside it"):
            ingest.ingest(OTC, client_of(server), Terms(run_date=DAY, force=True))
        settings.MARKETSPINE_TAKES_SAMPLES = False
        with pytest.raises(MixedData, match="live in a ledger, an archive and a folder of their own"):
            ingest.ingest(OTC, client_of(server), Terms(run_date=DAY, force=True))


def test_samples_need_places_of_their_own(ledger: Ledger, samples_dir: Path, settings: Settings) -> None:
    settings.MARKETSPINE_TAKES_SAMPLES = False
    ran = call("run_weekly", *RUN, "--source", "samples", "--source-dir", samples_dir)
    assert (ran.code, APART in ran.err, Run.objects.count()) == (2, True, 0)


@pytest.mark.parametrize("source", ["files", "api"])
def test_the_demo_takes_nothing_but_samples(ledger: Ledger, source_dir: Path, settings: Settings, source: str) -> None:
    settings.MARKETSPINE_DEMO = True
    publish(source_dir, OTC)
    ran = call("run_weekly", *RUN, "--source", source)
    assert (ran.code, DEMO_ONLY in ran.err, Run.objects.count()) == (2, True, 0)


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "MARKETSPINE_ARCHIVE_DIR", "MARKETSPINE_SOURCE_DIR", "DATABASE_URL_FILE"]
)
def test_a_demo_elsewhere_is_a_mistake(settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    settings.MARKETSPINE_DEMO = True
    for other in settings.LOCATIONS:
        monkeypatch.delenv(other, raising=False)
    assert "marketspine.E018" not in [found.id for found in run_checks()]
    monkeypatch.setenv(name, "x")
    assert "marketspine.E018" in [found.id for found in run_checks()]


SHOWING: list[tuple[str, *tuple[object, ...]]] = [
    ("run_weekly", *RUN),
    ("run_weekly", *RUN, "--mode", "dry-run"),
    ("backfill", *RANGE, "--mode", "dry-run"),
    ("doctor", "--run-date", DAY),
    ("show_capture", f"finra.otc_transparency:OTC:{WEEK}:{DAY:%Y%m%d}"),
    ("diff_captures", *(f"finra.otc_transparency:OTC:{WEEK}:{DAY:%Y%m%d}" for _ in range(2))),
    ("recover_runs",),
]


def test_every_command_marks_samples(invented: Path) -> None:
    for words in SHOWING:
        assert call(*words).lines[0] == SAMPLES, words
        assert call(*words, "--json").document["samples"] is True, words


def test_a_difference_for_a_program_is_marked_and_can_be_read(invented: Path) -> None:
    publish(invented, OTC, mark(content(OTC, (("AAPL", "UBSA", "7", 7), *ROWS[1:]))))
    call("run_weekly", *RUN)
    one = f"finra.otc_transparency:OTC:{WEEK}:{DAY:%Y%m%d}"
    head, line = call("diff_captures", one, f"{one}.2", "--format", "csv").lines
    assert (head.startswith("change,symbol,"), head.endswith(",samples"), line.endswith(",invented")) == (True,) * 3
    assert call("diff_captures", one, f"{one}.2", "--format", "json").document["samples"] is True


def test_no_command_marks_finras_data(real: None) -> None:
    for words in SHOWING:
        assert SAMPLES not in call(*words).out, words
        assert "samples" not in call(*words, "--json").document, words


def test_a_first_run_on_samples_is_marked(ledger: Ledger, samples_dir: Path) -> None:
    asked = ("run_weekly", *RUN, "--source", "samples", "--source-dir", samples_dir)
    assert call(*asked, "--json").document["samples"] is True
    assert call("run_weekly", "--weeks", NEWER_WEEK, "--run-date", "2026-01-05", *asked[5:]).lines.count(SAMPLES) == 1


def test_every_page_and_every_table_marks_samples(ledger: Ledger, archive_dir: Path) -> None:
    source = MemorySource()
    for rows in (ROWS, ROWS[1:]):
        source.publish(OTC, mark(content(OTC, rows)))
        made = ingest.ingest(OTC, source, Terms(run_date=DAY, force=True)).capture
    assert made is not None
    viewer = signed_in("Viewer")
    for address in (
        "/admin/",
        "/admin/pipeline/capture/",
        f"/admin/pipeline/capture/{made.pk}/change/",
        "/admin/rows/",
    ):
        assert NOTICE in viewer.get(address, follow=True).content.decode(), address
    assert NOTICE in Client().get("/admin/login/").content.decode()
    table = viewer.get(f"/admin/pipeline/capture/{made.pk}/difference.csv")
    assert 'filename="samples_difference_OTC' in table.headers["Content-Disposition"]
    head, *lines = table.getvalue().decode().splitlines()
    assert head.endswith(",samples")
    assert all(line.endswith(",invented") for line in lines)


def test_no_page_of_finras_data_is_marked(real: None) -> None:
    assert NOTICE not in signed_in("Viewer").get("/admin/").content.decode()
    assert NOTICE not in Client().get("/admin/login/").content.decode()
