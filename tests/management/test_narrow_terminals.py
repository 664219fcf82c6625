"""Terminals of 60, 80 and 120 columns: no date, symbol, state or id is cut; captures are named without typing an id."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from pathlib import Path

import pytest
from django.core.management import load_command_class

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.management.capture_words import select
from pipeline.management.progress import progress_bar
from pipeline.models import Anomaly, Capture, Category, Readiness
from pipeline.runs import lifecycle
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from tests.management.calling import Ran, call
from tests.management.publications import DAY, OTC, ROWS, WEEK, capture_id, content, publish, publish_week, restate
from tests.management.test_probe_restatements import LATER, MOVED, captured, finra, on_sqlite
from tests.support.engines import Begin, Ledger

__all__ = ["captured", "finra", "on_sqlite"]

FIRST, SECOND = capture_id(OTC), capture_id(OTC, 2)
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
EACH_WIDTH = pytest.mark.parametrize("width", [60, 80, 120])
EACH_COLOUR = pytest.mark.parametrize("colour", ["", "1"], ids=["colour", "no colour"])


class Terminal(io.StringIO):
    """A terminal, as wide as COLUMNS says."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, width: int, colour: str) -> Callable[..., str]:
    """Runs a command on a terminal; what it prints, without its colours."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    if colour:
        monkeypatch.setenv("NO_COLOR", colour)

    def show(name: str, *arguments: object) -> str:
        out, codes = Terminal(), list[object]()
        with redirect_stdout(out), redirect_stderr(out):
            try:
                load_command_class("pipeline", name).run_from_argv(["manage.py", name, *map(str, arguments)])
            except SystemExit as ended:
                codes.append(ended.code)
        assert set(codes) <= {0, 1}
        return ESCAPE.sub("", out.getvalue())

    return show


def twice_captured(source_dir: Path) -> None:
    publish_week(source_dir)
    assert weekly().code == 0
    restate(source_dir, OTC)
    assert weekly().code == 0


@pytest.fixture
def held(begin: Begin, source_dir: Path) -> Path:
    """The source folder; a week is captured, one partition of it twice."""
    begin(twice_captured)
    return source_dir


def weekly(*arguments: object) -> Ran:
    """Capture the week."""
    return call("run_weekly", "--weeks", WEEK, "--run-date", DAY, *arguments)


def whole(text: str, *words: str) -> None:
    """AssertionError unless each word stands in the text in one piece, and nothing is cut with an ellipsis."""
    assert "\u2026" not in text
    assert [word for word in words if not re.search(rf"(?<!\S){re.escape(word)}(?![\w-])", text)] == []


@EACH_WIDTH
@EACH_COLOUR
def test_nothing_is_cut_on_a_narrow_terminal(held: Path, shown: Callable[..., str], width: int) -> None:
    Readiness.objects.filter(use="research").update(state="AWAITING_PUBLICATION")  # the longest there is
    words = (str(WEEK), "NMS_TIER_1", "NMS_TIER_2", "OTC")
    whole(
        shown("doctor", "--run-date", DAY, "--lookback-weeks", 1), *words, "READY", "AWAITING_PUBLICATION", "2025-12-29"
    )
    plan = shown("run_weekly", "--mode", "dry-run", "--run-date", DAY, "--lookback-weeks", 3)
    whole(plan, *words, "NOT_YET_DUE", "INGEST", "2025-11-28")
    whole(shown("run_weekly", "--weeks", WEEK, "--run-date", DAY), *words, "UNCHANGED", "READY")
    captured = Capture.objects.get(capture_id=SECOND)
    whole(shown("show_capture", SECOND), SECOND, captured.payload_sha256, captured.content_hash, "NORMALIZED")
    difference = shown("diff_captures", "OTC", WEEK)
    (change,) = call("diff_captures", "OTC", WEEK, "--json").document["changes"]
    whole(difference, *(word for value in change.values() for word in value.split()), FIRST, SECOND)
    whole(shown("backfill", "--weeks", WEEK, "--mode", "dry-run", "--run-date", DAY), *words, "INGEST")


@EACH_WIDTH
@EACH_COLOUR
def test_what_ends_something_is_told_whole(held: Path, shown: Callable[..., str], width: int) -> None:
    publish(held, OTC, content(OTC, ROWS[:1]))
    refused = shown("run_weekly", "--weeks", WEEK, "--run-date", DAY)
    whole(refused, str(WEEK), "OTC", "REFUSED", "BLOCKED")
    (anomaly,) = Anomaly.objects.open().filter(category=Category.REFUSED)
    resolved = shown("resolve_anomaly", anomaly.pk, "--note", "FINRA's file is cut", "--run-date", DAY)
    whole(resolved, str(anomaly.pk), str(WEEK), "trading:", "compliance:", "research:", "READY")
    run = lifecycle.start(make_plan(Request(command="backfill", run_date=DAY, weeks=(WEEK,)), None))
    cancelled = shown("cancel_run", run.pk, "--reason", "wrong range")
    whole(cancelled, str(run.pk), "CANCELLED.", "cancelled.")
    whole(shown("check_archive"), "payloads", "accepted.")
    shown("recover_runs")


@EACH_WIDTH
@pytest.mark.parametrize("colour", ["1"])
@pytest.mark.usefixtures("few_rows", "captured")
def test_what_a_sweep_found_is_told_whole(shown: Callable[..., str], width: int) -> None:
    dry = shown("probe_restatements", "--run-date", LATER, "--mode", "dry-run")
    whole(dry, str(MOVED.week_ending), f"{MOVED.tier}:", "moved.")
    swept = shown("probe_restatements", "--run-date", LATER)
    whole(swept, str(MOVED.week_ending), MOVED.tier, "RESTATED", "UNCHANGED", capture_id(MOVED, day=LATER))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_bar_leaves_room_for_the_partition_and_its_outcome(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown, told = Terminal(), f"{PartitionKey(WEEK, Tier.NMS_TIER_1)} NOT_OFFERED"
    bar = progress_bar(shown)
    bar.add_task(told, total=1000, completed=999)
    bar.console.print(bar.get_renderable())
    whole(ESCAPE.sub("", shown.getvalue()), *told.split(), "999/1000")


def test_a_run_names_the_captures_that_it_makes(held: Path) -> None:
    restate(held, OTC, "102")
    ran = weekly()
    assert [line.rpartition("; ")[2] for line in ran.lines if "RESTATED" in line] == [capture_id(OTC, 3)]


def test_the_doctor_names_the_newest_capture_of_each_partition(held: Path) -> None:
    cells = call("doctor", "--run-date", DAY, "--lookback-weeks", 1, "--json").document["cells"]
    named = {(cell["week_ending"], cell["tier"]): cell["capture_id"] for cell in cells}
    assert (named[str(WEEK), "OTC"], named["2025-11-28", "OTC"]) == (SECOND, None)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("OTC 2025-11-14", SECOND),
        ("OTC:2025-11-14", SECOND),
        ("OTC 2025-11-14 latest", SECOND),
        ("OTC 2025-11-14 previous", FIRST),
        ("OTC 2025-11-14 v1", FIRST),
        ("OTC:2025-11-14:20251215", FIRST),
        ("OTC:2025-11-14:20251215.2", SECOND),
        (FIRST, FIRST),
        ("latest", SECOND),
        ("previous", FIRST),
        ("otce 2025-11-14", SECOND),
    ],
)
def test_a_capture_is_named_as_a_person_thinks_of_it(held: Path, words: str, found: str) -> None:
    for given in ([words], words.split()):
        assert call("show_capture", *given, "--json").document["capture_id"] == found


@pytest.mark.parametrize(
    "words",
    [
        "OTC 2025-11-14",
        "OTC 2025-11-14 previous latest",
        "OTC 2025-11-14 v1 v2",
        "OTC 2025-11-14 v2",
        "previous latest",
        f"{FIRST} {SECOND}",
    ],
)
def test_two_captures_are_compared_without_their_ids(held: Path, words: str) -> None:
    document = call("diff_captures", *words.split(), "--json").document
    assert (document["before"], document["after"], len(document["changes"])) == (FIRST, SECOND, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("NMS_TIER_1 2025-11-14 previous", "2025-11-14 NMS_TIER_1 has no previous capture; there are: finra."),
        ("OTC 2025-11-07", "nothing of 2025-11-07 OTC is captured"),
        ("OTC 2025-11-14 v9", "2025-11-14 OTC has no v9 capture; there are: "),
        ("OTC 2025-11-13", "2025-11-13 is a Thursday"),
        ("OTC 20251114", "'20251114' is not a date"),
        ("OTC:2025-11-14:20251216", "there is no capture 'finra.otc_transparency:OTC:2025-11-14:20251216'; of that"),
        ("latest previous", "1 to be named, not 2"),
        ("OTCC 2025-11-14", "unknown tier 'OTCC'; known tiers: NMS_TIER_1, NMS_TIER_2, OTC"),
        ("newest", "there is no capture 'newest'"),
    ],
)
def test_a_capture_that_is_not_there_is_told(held: Path, words: str, said: str) -> None:
    ran = call("show_capture", *words.split())
    assert ran.code == 2
    assert said in ran.err


def test_an_empty_ledger_has_no_latest_capture(ledger: Ledger) -> None:
    ran = call("show_capture", "latest")
    assert (ran.code, "nothing is captured yet" in ran.err) == (2, True)
    assert call("diff_captures", "OTC", date(2025, 11, 14)).code == 2


def test_a_partition_with_one_capture_has_nothing_to_compare(held: Path) -> None:
    assert [one.version for one in select(["OTC", str(WEEK)], ("previous", "latest"))] == [1, 2]
    assert call("diff_captures", "NMS_TIER_1", WEEK).code == 2
    assert "v1 is the first capture of a partition" in call("diff_captures", "OTC", WEEK, "v1").err
