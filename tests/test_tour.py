"""A new user's first day: the README's commands, each as written and in their order, in a clone with nothing else in it."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from marketspine.demo import FIRST, FRESH, LAST
from pipeline.finra.samples import Size, publish
from tests.support.cloned import ROOT, Clone, clone

README = (ROOT / "README.md").read_text(encoding="utf-8")
ACTIVATE = ". .venv/bin/activate\n"

pytestmark = pytest.mark.timeout(1200)  # a dozen commands, each a process of its own


@pytest.fixture(scope="module")
def new_user(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone, in which the tests of this module happen one after the other."""
    return clone(tmp_path_factory.mktemp("clone"))


def blocks(language: str, section: str) -> list[str]:
    """The README's code blocks of a language, in a section."""
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def test_the_tour_runs_as_written(new_user: Clone) -> None:
    ran = new_user.shell("".join(blocks("sh", "Try it")))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == FIRST
    first_run = lines[: lines.index(LAST.splitlines()[-1]) + 1]
    assert [line for line in first_run if line.startswith("20") and "first capture" not in line] == []
    assert "  Exit code              0 (every due partition is good)" in first_run
    assert "Healthy" in ran.stdout
    assert re.search(r"^\d{4}-\d\d-\d\d \w+ +RESTATED +content changed", ran.stdout, re.M)
    assert {path.name for path in (new_user.root / "var").iterdir()} == {"demo"}


def test_the_command_that_a_run_prints_shows_what_was_restated(new_user: Clone) -> None:
    again = "python manage.py simulate_source --restate 0.2 --seed 3\npython manage.py run_weekly\n"
    ran = new_user.shell(ACTIVATE + again, MARKETSPINE_DEMO="1")
    (printed,) = re.findall(r"^  (MARKETSPINE_DEMO=1 python manage\.py diff_captures .*)$", ran.stdout, re.M)

    shown = new_user.shell(ACTIVATE + printed)

    assert shown.returncode == 0, shown.stderr
    assert "changed" in shown.stdout
    assert '"samples": true' in new_user.shell(f"{ACTIVATE}{printed} --json").stdout


def test_the_python_of_the_readme_works_as_pasted(new_user: Clone) -> None:
    (program,) = blocks("python", "From SQL and Python")
    shown = re.sub(r"^(readers\.[^#\n]*?) *(#.*)?$", r"print(type(\1), \1.shape)", program, flags=re.M)
    ran = new_user.shell(f"{ACTIVATE}python manage.py shell <<'EOF'\n{shown}EOF\n", MARKETSPINE_DEMO="1")
    assert (ran.returncode, ran.stderr) == (0, "")
    now, then, venues = re.findall(r"^<class '(\w+)\..*'> \((\d+), \d+\)$", ran.stdout, re.M)
    assert (now[0], then, venues[0]) == ("pandas", ("pandas", "0"), "polars")
    assert (int(now[1]) > 0, int(venues[1]) > 0) == (True, True)


def test_the_sql_of_the_readme_has_rows(new_user: Clone) -> None:
    (query,) = blocks("sql", "From SQL and Python")
    with closing(sqlite3.connect(new_user.root / "var" / "demo" / "marketspine.sqlite3")) as ledger:
        files = [Path(row[-1]) for row in ledger.execute(query)]
    archive = new_user.root / "var" / "demo" / "archive"
    assert len(files) == 10
    assert all((archive / file).is_file() for file in files)


def test_ones_own_files_become_a_ready_week(new_user: Clone) -> None:
    publish(new_user.root / "var" / "source", weeks=[date(2025, 11, 14)], seed=1, size=Size.SMALL)
    own, _ = blocks("sh", "Your own data")

    ran = new_user.shell(ACTIVATE + own)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "  Readiness, trading     1 READY" in ran.stdout
    assert "SAMPLE" not in ran.stdout


def test_an_emptied_inbox_invents_nothing(new_user: Clone) -> None:
    for path in (new_user.root / "var" / "source").iterdir():
        path.unlink()

    ran = new_user.shell("make run")

    assert ran.returncode == 2  # make's own code, for the job's 1
    assert "the job ended with code 1" in ran.stderr
    assert "SAMPLE" not in ran.stdout
    assert list((new_user.root / "var" / "source").iterdir()) == []


def test_a_clone_without_a_folder_is_migrated_and_points_to_its_demo(tmp_path: Path) -> None:
    fresh = clone(tmp_path)
    migrated = fresh.shell(f"{ACTIVATE}python manage.py migrate --verbosity 0", MARKETSPINE_DEMO="1")
    assert (migrated.returncode, migrated.stderr) == (0, "")
    refused = fresh.shell(f"{ACTIVATE}python manage.py doctor")
    assert refused.returncode == 2
    assert "run `python manage.py migrate` first, or see the demo with MARKETSPINE_DEMO=1" in refused.stderr


@pytest.mark.parametrize("variable", ["MARKETSPINE_SOURCE_DIR", "DATABASE_URL"])
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


def test_ones_own_first_run_after_the_demo_says_where_both_are(new_user: Clone) -> None:
    assert (new_user.root / "var" / "demo").exists()
    assert (
        new_user.shell(
            "rm var/marketspine.sqlite3* && rm -r var/archive && touch var/source/x && "
            "python3 marketspine/demo.py first"
        ).stdout
        == f"{FRESH}\n"
    )
