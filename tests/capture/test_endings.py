"""Anomalies: the same failure counts up one, and what a later capture or look proves to be over ends by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Anomaly, Capture, Category, Partition, Readiness, Run, Severity, Stage
from pipeline.runs.request import Request
from pipeline.weeks import analytics
from tests.fake_finra import Catalogue, Fault, FinraServer, Kind, Options, Samples, Service
from tests.live_source import product
from tests.management.calling import call
from tests.management.publications import DAY, OTC, ROWS, WEEK, content, publish, publish_week, restate
from tests.support.engines import Begin, Ledger

ONE_WEEK = ("--weeks", str(WEEK), "--run-date", str(DAY))
ERROR_PAGE = b"<!DOCTYPE html><html><body>Service unavailable</body></html>"


def week_captured(source_dir: Path) -> None:
    publish_week(source_dir)
    assert call("run_weekly", *ONE_WEEK).code == 0


@pytest.fixture
def week(begin: Begin, source_dir: Path) -> Path:
    """The source folder; its week is captured."""
    begin(week_captured)
    return source_dir


def of_otc(
    category: Category, severity: Severity = Severity.ERROR, stage: Stage = Stage.RAW, text: str = "x"
) -> Anomaly:
    partition, _ = Partition.objects.get_or_create(week_ending=WEEK, tier=OTC.tier)
    return Anomaly.objects.record(category, severity, text, partition=partition, stage=stage)


def open_ones() -> list[str]:
    return sorted(Anomaly.objects.open().values_list("category", flat=True))


def states() -> set[str]:
    return set(Readiness.objects.filter(week_ending=WEEK).values_list("state", flat=True))


@pytest.mark.parametrize(
    ("kind", "severity", "texts"),
    [(Kind.STATUS, Severity.WARN, 1), (Kind.EMPTY_BODY, Severity.ERROR, 3)],  # the second text names the request
    ids=["503 of Cloudflare", "an empty reply of FINRA"],
)
def test_a_failure_in_three_runs_is_one_anomaly_seen_three_times(
    ledger: Ledger, settings: Settings, kind: Kind, severity: Severity, texts: int
) -> None:
    key, day = PartitionKey(date(2025, 10, 3), Tier.NMS_TIER_1), date(2025, 10, 27)
    service = Service(
        Catalogue([key.week_ending], Samples(1, tapes=False)), Options(requests_per_second=None), today=day
    )
    with FinraServer(service) as server, product.day(day, server):
        product.point_at(server, settings)
        service.faults.add(Fault(kind, None, status=503))
        asked = Request(command="backfill", run_date=day, partitions=(key,), source="api")
        ran = [product.run(asked) for _ in range(3)]

    anomaly = Anomaly.objects.get()
    assert (anomaly.category, anomaly.occurrences, anomaly.severity) == (Category.FETCH_FAILED, 3, severity)
    assert (anomaly.run, anomaly.last_run) == (ran[0], ran[2])
    assert len({run.partitions.get().reason for run in ran}) == texts
    assert anomaly.message == ran[2].partitions.get().reason


def test_the_newest_text_and_the_gravest_severity_are_kept(ledger: Ledger) -> None:
    of_otc(Category.REFUSED, Severity.ERROR, text="lost 30%")
    anomaly = of_otc(Category.REFUSED, Severity.WARN, text="lost 35%")
    assert (anomaly.message, anomaly.severity, anomaly.occurrences) == ("lost 35%", Severity.ERROR, 2)


def test_another_stage_place_or_category_is_another_anomaly(ledger: Ledger) -> None:
    of_otc(Category.INTERNAL)
    of_otc(Category.INTERNAL, stage=Stage.NORMALIZED)
    of_otc(Category.STALLED)
    Anomaly.objects.record(Category.INTERNAL, Severity.ERROR, "x", week_ending=WEEK, stage=Stage.RAW)
    assert set(Anomaly.objects.values_list("occurrences", flat=True)) == {1}
    assert Anomaly.objects.count() == 4


def test_the_database_holds_one_open_anomaly_of_a_kind(ledger: Ledger) -> None:
    first = of_otc(Category.INTERNAL)
    twin = Anomaly.objects.get(pk=first.pk)
    twin.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save(force_insert=True)
    first.resolve(by="olive", note="seen")
    twin.save(force_insert=True)
    assert Anomaly.objects.count() == 2


def unreadable(folder: Path) -> None:
    publish(folder, OTC, ERROR_PAGE)


def cut_short(folder: Path) -> None:
    publish(folder, OTC, content(OTC, ROWS[:1]))


@pytest.mark.promise(14)
@pytest.mark.parametrize(
    ("spoil", "category"),
    [(unreadable, Category.UNREADABLE), (cut_short, Category.REFUSED)],
    ids=["unreadable", "refused"],
)
@pytest.mark.parametrize("mend", [publish, restate], ids=["the same content", "a restatement"])
def test_the_right_file_ends_what_the_wrong_one_began(
    week: Path, spoil: Callable[[Path], None], category: Category, mend: Callable[[Path, PartitionKey], Path]
) -> None:
    spoil(week)
    assert call("run_weekly", *ONE_WEEK).code == 1
    assert (open_ones(), states()) == ([category], {"BLOCKED", "PROVISIONAL"})

    mend(week, OTC)
    assert call("run_weekly", *ONE_WEEK).code == 0

    anomaly = Anomaly.objects.get()
    last = Run.objects.latest("pk")
    assert anomaly.resolved_by == "marketspine"
    assert anomaly.note.startswith(f"run {last.pk}: ")
    assert states() == {"READY"}


@pytest.mark.parametrize("category", [Category.FETCH_FAILED, Category.STALLED, Category.INTERNAL])
def test_an_unchanged_look_ends_what_broke_down_on_the_way(week: Path, category: Category) -> None:
    of_otc(category)
    assert call("run_weekly", *ONE_WEEK).code == 0
    assert Anomaly.objects.get().note == f"run {Run.objects.latest('pk').pk}: the source has what {_held()} holds"


def _held() -> Capture:
    return Capture.objects.get(partition__tier=OTC.tier)


def test_late_and_a_failed_fetch_end_with_the_first_capture(ledger: Ledger, source_dir: Path) -> None:
    call("run_weekly", *ONE_WEEK, "--tiers", "OTC")
    of_otc(Category.FETCH_FAILED)
    assert open_ones() == [Category.FETCH_FAILED, Category.LATE]
    publish(source_dir, OTC)
    call("run_weekly", *ONE_WEEK, "--tiers", "OTC")
    assert set(Anomaly.objects.values_list("note", flat=True)) == {
        f"run {Run.objects.latest('pk').pk}: captured as finra.otc_transparency:OTC:2025-11-14:20251215"
    }
    assert open_ones() == []


def test_a_source_that_has_nothing_has_answered(ledger: Ledger, source_dir: Path) -> None:
    of_otc(Category.FETCH_FAILED)
    of_otc(Category.UNREADABLE)
    call("run_weekly", *ONE_WEEK, "--tiers", "OTC")
    assert open_ones() == [Category.LATE, Category.UNREADABLE]


def test_rejected_rows_stay_with_the_vintage_held_and_end_with_the_next(week: Path, settings: Settings) -> None:
    settings.MARKETSPINE_MAX_REJECT_SHARE = 0.5
    publish(week, OTC, content(OTC) + b"OTC|half a line\n")
    call("run_weekly", *ONE_WEEK)
    call("run_weekly", *ONE_WEEK)
    assert open_ones() == []  # the same content as held: no vintage, no rejects
    publish(week, OTC, content(OTC, (*ROWS, ("NEWS", "UBSA", "7", 1))) + b"OTC|half a line\n")
    call("run_weekly", *ONE_WEEK)
    call("run_weekly", *ONE_WEEK)
    assert open_ones() == [Category.REJECTED_ROWS]
    publish(week, OTC, content(OTC, (*ROWS, ("NEWS", "UBSA", "8", 1))))
    call("run_weekly", *ONE_WEEK)
    assert open_ones() == []


def test_a_payload_that_reads_again_ends_what_broke_down_in_reading(week: Path) -> None:
    of_otc(Category.INTERNAL, stage=Stage.NORMALIZED)
    of_otc(Category.ARCHIVE_DAMAGED, Severity.CRITICAL, Stage.NORMALIZED)
    call("run_weekly", *ONE_WEEK)
    assert open_ones() == [Category.ARCHIVE_DAMAGED, Category.INTERNAL]  # the source was asked, the archive was not
    assert call("run_weekly", *ONE_WEEK, "--only-stage", "normalize").code == 0
    assert open_ones() == []


def test_computed_analytics_end_a_failed_calculation(week: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ArithmeticError("a bug of ours")

    restate(week, OTC)
    with monkeypatch.context() as broken:
        broken.setattr(analytics, "_figures", fails)
        assert call("run_weekly", *ONE_WEEK).code == 1
    assert (open_ones(), "BLOCKED" in states()) == ([Category.CALC_FAILED], True)
    assert call("run_weekly", *ONE_WEEK, "--only-stage", "calc").code == 0
    assert (open_ones(), states()) == ([], {"READY"})


@pytest.mark.parametrize("category", [Category.RESTATED_LATE, Category.UNRECONCILED])
def test_what_a_person_must_judge_stays_open(week: Path, category: Category) -> None:
    of_otc(category, Severity.WARN, Stage.NORMALIZED)
    restate(week, OTC)
    call("run_weekly", *ONE_WEEK)
    call("run_weekly", *ONE_WEEK)
    assert open_ones() == [category]


def test_what_a_person_resolved_is_not_resolved_again(week: Path) -> None:
    of_otc(Category.FETCH_FAILED).resolve(by="olive", note="the line was down")
    call("run_weekly", *ONE_WEEK)
    assert Anomaly.objects.get().resolved_by == "olive"
    assert Anomaly.objects.get().last_seen_at <= timezone.now()
