"""A partition captured from files and fetched from FINRA's API, and back: compared in the columns that both have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from pipeline.capture import ingest
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import PartName
from pipeline.finra.samples import Size, publish
from pipeline.finra.sources.files.file_names import file_name
from pipeline.finra.sources.files.source import FilesSource
from pipeline.models import Anomaly, Capture, Manifest, Outcome, Stage
from tests.fake_finra import Catalogue, Fault, FinraServer, Kind, Options, Restatement, Samples, Service
from tests.fake_finra.restatements import redraw
from tests.finra.sources.api.asking import client_of
from tests.live_source import product
from tests.support.engines import Engines

KEY = PartitionKey(date(2025, 10, 3), Tier.NMS_TIER_1)
DAY, RESTATED = date(2025, 11, 10), date(2025, 11, 17)
SEED = 1
SAME = (
    "unchanged: the same rows in the columns that both sources have; only productTypeCode, firmCRDNumber and "
    "totalNotionalSum, which FINRA's web file lacks, differ (force it to take what is offered)"
)


@dataclass
class Both:
    """The same publication as files and at the service."""

    folder: Path
    server: FinraServer

    def from_files(self) -> Result:
        return ingest.ingest(KEY, FilesSource(self.folder, 10**8), Terms(run_date=DAY))

    def from_api(self, *, force: bool = False) -> Result:
        return ingest.ingest(KEY, client_of(self.server), Terms(run_date=DAY, force=force))


@pytest.fixture
def both(engines: Engines, tmp_path: Path) -> Iterator[Both]:
    publish(tmp_path, weeks=[KEY.week_ending], seed=SEED, size=Size.SMALL, tiers=[KEY.tier])
    catalogue = Catalogue(
        [KEY.week_ending], Samples(SEED, tapes=False), restatements=[Restatement(KEY, RESTATED, redraw("both"))]
    )
    service = Service(catalogue, Options(requests_per_second=None), today=DAY)
    with FinraServer(service) as server, engines.using("sqlite"):
        yield Both(tmp_path, server)


@pytest.mark.promise(2)
def test_the_apis_same_rows_replay_those_of_files(both: Both) -> None:
    first = both.from_files()
    replayed = both.from_api()
    assert (replayed.outcome, replayed.reason, replayed.capture) == (Outcome.UNCHANGED, SAME, first.capture)
    assert Capture.objects.count() == 1


def test_and_the_other_way_round(both: Both) -> None:
    first = both.from_api()
    assert (both.from_files().reason, Capture.objects.get()) == (SAME, first.capture)


def test_force_takes_the_richer_vintage(both: Both) -> None:
    both.from_files()
    forced = both.from_api(force=True)
    assert (forced.outcome, Capture.objects.count()) == (Outcome.RESTATED, 2)
    assert product.held(KEY) == product.truth(both.server.service.catalogue.firm_rows(KEY, DAY))
    assert both.from_api().outcome == Outcome.UNCHANGED


def test_a_restatement_says_how_many_rows_differ(both: Both) -> None:
    both.from_files()
    both.server.service.today = RESTATED
    before, after = (both.server.service.catalogue.firm_rows(KEY, day) for day in (DAY, RESTATED))
    moved = len(set(after) - set(before))
    restated = both.from_api()
    assert restated.outcome == Outcome.RESTATED
    said = f", from a source with other columns: {max(moved, len(set(before) - set(after)))} rows differ in those that both"
    assert said in restated.reason
    assert product.held(KEY) == product.truth(after)


def test_rows_of_firms_that_the_files_lack_are_no_matter_of_columns(both: Both) -> None:
    (both.folder / file_name(KEY, PartName.NON_ATS)).unlink()
    both.from_files()
    assert both.from_api().outcome == Outcome.RESTATED


def test_the_control_totals_are_kept_in_the_manifest(both: Both) -> None:
    both.from_api()
    kept = Manifest.objects.get(stage=Stage.NORMALIZED)
    symbols = {(row.is_ats, row.symbol) for row in both.server.service.catalogue.firm_rows(KEY, DAY)}
    assert (kept.control_shares, kept.control_trades, kept.control_differing) == (kept.shares, kept.trades, 0)
    assert kept.control_symbols == len(symbols)
    raw = Manifest.objects.get(stage=Stage.RAW)
    assert (raw.control_symbols, raw.control_shares, raw.control_differing) == (None, None, None)


def test_totals_that_differ_are_told_until_they_add_up(both: Both) -> None:
    both.server.service.faults.add(Fault(Kind.NULL_SHARES, times=None, equal={"summaryTypeCode": "ATS_W_SMBL"}))
    both.from_api()
    (anomaly,) = Anomaly.objects.open()
    assert (anomaly.category, anomaly.severity) == ("UNRECONCILED", "ERROR")
    assert anomaly.message.startswith("1 of 18 symbols do not add up to FINRA's totals; the largest: ")
    assert both.from_api().outcome == Outcome.UNCHANGED
    anomaly.refresh_from_db()
    assert (anomaly.occurrences, anomaly.resolved_at) == (2, None)

    both.server.service.faults.clear()
    assert both.from_api().outcome == Outcome.UNCHANGED

    anomaly.refresh_from_db()
    assert (anomaly.resolved_by, anomaly.note) == ("marketspine", "the rows add up to FINRA's totals by now")


def test_an_archived_payload_can_be_read_again_without_finra(both: Both) -> None:
    held = both.from_api()
    both.server.service.log.clear()
    again = ingest.renormalize(KEY, Terms(run_date=DAY))
    assert (again.outcome, again.capture) == (Outcome.UNCHANGED, held.capture)
    assert both.server.service.log.entries() == []
