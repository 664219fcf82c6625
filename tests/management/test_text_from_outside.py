"""Text from outside, printed: shown as text, whole, on terminals, in pipes, in ASCII; JSON stays exact."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from marketspine.logs import Plain
from pipeline.models import Capture, Run, RunStatus
from tests.management.calling import Ran, call, environment
from tests.management.publications import DAY, OTC, WEEK, capture_id, publish
from tests.support.engines import Ledger
from tests.support.sources_in_memory import psv, row

RUN = ("run_weekly", "--weeks", str(WEEK), "--tiers", "OTC", "--run-date", str(DAY))
UPDATED = "2025-12-15"
ODD = (
    "Bracket Corp [/old] Common",
    "[new] [bold red]Shiny[/] Inc",
    "Happy :smile: Holdings",
    "\x1b[31mRed\x1b[0m\x07 Inc",
    "Turned \u202eround\u202c Corp",
    "Caf\u00e9 \u4e2d\u6587 Corp",
    "Back\\slash \\[x] Corp",
)
SHOWN = (
    "Bracket Corp [/old] Common",
    "[new] [bold red]Shiny[/] Inc",
    "Happy :smile: Holdings",
    r"\x1b[31mRed\x1b[0m\x07 Inc",
    r"Turned \u202eround\u202c Corp",
    "Caf\u00e9 \u4e2d\u6587 Corp",
    r"Back\slash \[x] Corp",
)
BAD_LINE = "[/b] bad \x1b]0;title\x07 line"


class Terminal(io.StringIO):
    """A terminal 400 characters wide."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Vintages:
    """Two vintages of a partition whose rows have odd names."""

    before: str
    after: str


@pytest.fixture
def vintages(ledger: Ledger, source_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Vintages:
    monkeypatch.setenv("COLUMNS", "400")
    usual = [row(f"S{n:02}", "UBSA", n + 1, 1, updated=UPDATED) for n in range(60)]
    odd = [row(f"X{n}", "UBSA", 7, 1, issue=name, updated=UPDATED) for n, name in enumerate(ODD)]
    for lines in (usual, [*usual, *odd, BAD_LINE]):
        publish(source_dir, OTC, psv(*lines))
        assert call(*RUN).code == 0
    return Vintages(capture_id(OTC), capture_id(OTC, 2))


def on_terminal(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """What a command prints on a terminal."""
    screen = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr("tests.management.calling.StringIO", lambda: screen)
        assert call(*words).code == 0
    return screen.getvalue()


@pytest.mark.parametrize("form", ["table", "csv"])
def test_names_are_shown_as_they_are_on_a_terminal(
    vintages: Vintages, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    shown = on_terminal(monkeypatch, "diff_captures", vintages.before, vintages.after, "--format", form)
    assert [name for name in SHOWN if name not in shown] == []
    assert "\x1b[31m" not in shown
    assert not {"\x07", "\u202e"} & set(shown)


def test_a_reject_and_its_brackets_are_shown_on_a_terminal(vintages: Vintages, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = on_terminal(monkeypatch, "show_capture", vintages.after)
    assert r"[/b] bad \x1b]0;title\x07 line" in shown


def test_a_pipe_gets_the_same_text(vintages: Vintages) -> None:
    shown = call("diff_captures", vintages.before, vintages.after).out
    assert [name for name in SHOWN if name not in shown] == []
    assert len(shown.splitlines()) == 2 + len(ODD)


def test_documents_and_files_stay_exact(vintages: Vintages) -> None:
    document = call("diff_captures", vintages.before, vintages.after, "--json").document
    assert [change["issue_name"] for change in document["changes"]] == list(ODD)
    assert call("show_capture", vintages.after, "--json").document["rejects"][0]["text"] == BAD_LINE
    written = call("diff_captures", vintages.before, vintages.after, "--format", "csv").out
    assert [name for name in ODD if name not in written] == []


def test_progress_and_reasons_are_text(ledger: Ledger, source_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    (source_dir / "otc_week_2025-11-14.psv").write_text("x[/red]|[bold]\x1b[31m\n")
    with monkeypatch.context() as patch:
        patch.setattr("tests.management.calling.StringIO", Terminal)
        ran = call(*RUN)
    assert ran.code == 1
    assert "'x[/red]', '[bold]\\x1b[31m'" in ran.err
    assert "\x1b[31m" not in ran.err


def run_as(ledger: Ledger, words: list[str | bytes], **variables: str) -> Ran:
    """A command in a process of its own, with an environment of its own."""
    command = [sys.executable, "manage.py", *words]
    ran = subprocess.run(
        command, env={**environment(ledger.url), **variables}, capture_output=True, check=False, timeout=60
    )
    return Ran(ran.returncode, ran.stdout.decode("latin-1"), ran.stderr.decode("latin-1"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_stream_of_another_encoding_gets_the_whole_answer(
    vintages: Vintages, ledger: Ledger, archive_dir: Path, encoding: str
) -> None:
    ran = run_as(ledger, ["diff_captures", vintages.before, vintages.after], PYTHONIOENCODING=encoding)
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.out.splitlines()) == 2 + len(ODD)
    assert r"\u4e2d\u6587 Corp" in ran.out


NOT_TEXT: dict[str, list[tuple[str, ...]]] = {
    "run_weekly": [
        ("--reason", "gepr\udcfcft"),
        ("--tiers", "\udcff"),
        ("--weeks", "\udcff"),
        ("--run-date", "\udcff"),
    ],
    "backfill": [
        ("--reason", "gepr\udcfcft"),
        ("--from", "\udcff"),
        ("--source", "\udcff"),
        ("--source-dir", "/x\udcff"),
    ],
    "probe_restatements": [("--reason", "\udcff")],
    "resolve_anomaly": [("1", "--note", "\udcff"), ("1", "--note", "seen", "--by", "\udcff")],
    "cancel_run": [("1", "--reason", "\udcff")],
    "show_capture": [("finra\udcff",)],
    "diff_captures": [("a", "\udcff")],
    "doctor": [("--run-date", "\udcff")],
    "ingest_file": [("file", "--week", "\udcff", "--tier", "OTC"), ("file", "--week", "x", "--tier", "\udcff")],
    "simulate_source": [("/nowhere", "--until", "\udcff")],
}


@pytest.mark.promise(8)
@pytest.mark.parametrize(
    ("name", "words"), [(name, words) for name, lines in NOT_TEXT.items() for words in lines], ids=ascii
)
def test_an_argument_that_is_no_text_is_refused(ledger: Ledger, name: str, words: tuple[str, ...]) -> None:
    ran, as_json = call(name, *words), call(name, *words, "--json")
    assert (ran.code, ran.out, as_json.code) == (2, "", 2)
    assert ran.err.rstrip().endswith("is not UTF-8 text")
    assert as_json.document["error"].endswith("is not UTF-8 text")
    assert Run.objects.count() == 0


def test_the_refusal_shows_the_bytes(ledger: Ledger, archive_dir: Path) -> None:
    archive_dir.mkdir()
    ran = run_as(ledger, ["run_weekly", "--reason", b"gepr\xfcft", "--json"])
    assert ran.code == 2
    assert ran.document == {"error": r"--reason: 'gepr\xfcft' is not UTF-8 text", "exit_code": 2}
    assert ran.err == "CommandError: --reason: 'gepr\\xfcft' is not UTF-8 text\n"


def test_a_user_of_an_odd_name_runs(ledger: Ledger, source_dir: Path, archive_dir: Path) -> None:
    archive_dir.mkdir()
    publish(source_dir, OTC)
    ran = subprocess.run(
        [sys.executable, "manage.py", *RUN],
        env={**{k.encode(): v.encode() for k, v in environment(ledger.url).items()}, b"LOGNAME": b"J\xfcrgen"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert Capture.objects.get().requested_by == r"J\udcfcrgen"
    assert Run.objects.get().status == RunStatus.SUCCEEDED


def test_a_log_line_is_one_line_and_gives_no_orders() -> None:
    record = logging.LogRecord("pipeline", logging.ERROR, "", 0, "%s failed", ("a\nERROR b \x1b[31m",), None)
    assert Plain("%(levelname)s %(message)s").format(record) == r"ERROR a\nERROR b \x1b[31m failed"


@pytest.mark.parametrize(
    ("on_terminal", "level", "has_traceback"),
    [(True, logging.WARNING, False), (True, logging.DEBUG, True), (False, logging.WARNING, True)],
)
def test_a_person_at_a_terminal_has_no_traceback_but_with_debug(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    on_terminal: bool,
    level: int,
    has_traceback: bool,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: on_terminal)
    caplog.set_level(level, "pipeline")
    error = ValueError("a bug")
    record = logging.LogRecord("pipeline", logging.ERROR, "", 0, "it failed", None, (ValueError, error, None))

    told = Plain("%(message)s").format(record)

    short = "it failed [ValueError; MARKETSPINE_LOG_LEVEL=DEBUG shows the traceback]"
    assert told == ("it failed\nValueError: a bug" if has_traceback else short)
