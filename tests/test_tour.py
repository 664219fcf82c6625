"""A new user's first day: the README's commands, each as written and in their order, in a clone with nothing else in it."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from marketspine.demo import FIRST, FRESH, LAST
from pipeline.finra.samples import Size, publish
from tests.faults.extent import EVERYTHING
from tests.support.cloned import ROOT, Clone, clone

README = (ROOT / "README.md").read_text(encoding="utf-8")
ACTIVATE = ". .venv/bin/activate\n"

pytestmark = pytest.mark.timeout(1200)  # a dozen commands, each a process of its own


@dataclass(frozen=True)
class NewUser(Clone):
    """A clone, and what its first shell told: that of the README's tour."""

    toured: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def new_user(tmp_path_factory: pytest.TempPathFactory) -> NewUser:
    """One for all tests that begin after the tour."""
    root = clone(tmp_path_factory.mktemp("clone"))
    return NewUser(root.root, root.shell("".join(blocks("sh", "Try it"))))


def blocks(language: str, section: str) -> list[str]:
    """The README's code blocks of a language, in a section."""
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def test_the_tour_runs_as_written(new_user: NewUser) -> None:
    ran = new_user.toured
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == FIRST
    first_run = lines[: lines.index(LAST.splitlines()[-1]) + 1]
    assert [line for line in first_run if line.startswith("20") and "first capture" not in line] == []
    assert "  Exit code              0 (every due partition is good)" in first_run
    assert "Healthy" in ran.stdout
    assert re.search(r"^\d{4}-\d\d-\d\d \w+ +RESTATED +content changed", ran.stdout, re.M)


def test_the_command_that_a_run_prints_shows_what_was_restated(new_user: NewUser) -> None:
    (printed,) = re.findall(
        r"^  (MARKETSPINE_DEMO=1 python manage\.py diff_captures .*)$", new_user.toured.stdout, re.M
    )

    shown = new_user.shell(f"{ACTIVATE}{printed}\n{printed} --json\n")

    assert shown.returncode == 0, shown.stderr
    text, _, document = shown.stdout.partition("\n{")
    assert "changed" in text
    assert '"samples": true' in document


def test_the_python_of_the_readme_works_as_pasted(new_user: NewUser) -> None:
    (program,) = blocks("python", "From SQL and Python")
    shown = re.sub(r"^(readers\.[^#\n]*?) *(#.*)?$", r"print(type(\1), \1.shape)", program, flags=re.M)
    ran = new_user.shell(f"{ACTIVATE}python manage.py shell <<'EOF'\n{shown}EOF\n", MARKETSPINE_DEMO="1")
    assert (ran.returncode, ran.stderr) == (0, "")
    now, then, venues = re.findall(r"^<class '(\w+)\..*'> \((\d+), \d+\)$", ran.stdout, re.M)
    assert (now[0], then, venues[0]) == ("pandas", ("pandas", "0"), "polars")
    assert (int(now[1]) > 0, int(venues[1]) > 0) == (True, True)


def test_the_sql_of_the_readme_has_rows(new_user: NewUser) -> None:
    (query,) = blocks("sql", "From SQL and Python")
    with closing(sqlite3.connect(new_user.root / "var" / "demo" / "marketspine.sqlite3")) as ledger:
        files = [Path(row[-1]) for row in ledger.execute(query)]
    archive = new_user.root / "var" / "demo" / "archive"
    assert len(files) == 10
    assert all((archive / file).is_file() for file in files)


def test_ones_own_files_become_a_ready_week_beside_the_demo(new_user: NewUser) -> None:
    var = new_user.root / "var"
    assert (var / "demo").exists()
    assert not (var / "marketspine.sqlite3").exists()
    too_early = new_user.shell(f"{ACTIVATE}python manage.py doctor")
    assert too_early.returncode == 2
    assert "run `python manage.py migrate` first, or see the demo with MARKETSPINE_DEMO=1" in too_early.stderr
    for file in var.glob("marketspine.sqlite3*"):  # SQLite has made it
        file.unlink()
    publish(var / "source", weeks=[date(2025, 11, 14)], seed=1, size=Size.SMALL)
    own, _ = blocks("sh", "Your own data")

    ran = new_user.shell(f"python3 marketspine/demo.py first\n{ACTIVATE}{own}")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith(f"{FRESH}\n")
    assert "  Readiness, trading     1 READY" in ran.stdout
    assert "SAMPLE" not in ran.stdout

    for path in (var / "source").iterdir():
        path.unlink()
    emptied = new_user.shell("make run")

    assert emptied.returncode == 2  # make's own code, for the job's 1
    assert "the job ended with code 1" in emptied.stderr
    assert "SAMPLE" not in emptied.stdout
    assert list((var / "source").iterdir()) == []


@pytest.mark.parametrize("variable", ["MARKETSPINE_SOURCE_DIR", *(["DATABASE_URL"] if EVERYTHING else [])])
def test_a_clone_that_is_configured_invents_nothing(tmp_path: Path, variable: str) -> None:
    (tmp_path / "clone").mkdir()
    (tmp_path / "elsewhere").mkdir()
    fresh = clone(tmp_path / "clone")
    value = {"DATABASE_URL": f"sqlite:///{tmp_path}/ledger.sqlite3"}.get(variable, f"{tmp_path}/elsewhere")

    ran = fresh.shell("make run", **{variable: value})

    assert ran.returncode == 2
    assert "DEMO" not in ran.stdout
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (fresh.root / "var" / "demo").exists()
