"""`python -m tests.mutants`: change the code a little, run the tests of its own folder, and list what no test noticed.

The tests of a room run once under coverage, which says by which tests a line is reached; a mutant of the line is then held
against those alone. Work is done in a copy of the checkout. Exit code: 0 when at least the share asked for is caught.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData

from tests.mutants.making import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("finra", "vintages", "capture", "weeks", "runs")
ACCEPTED = Path(__file__).with_name("accepted.txt")
COPIED = ("manage.py", "pyproject.toml", "marketspine", "pipeline", "tests", "Makefile", "benchmarks")
MOST_TESTS = 40  # of those that reach a line, the ones that stand first
SECONDS = 120


@dataclass(frozen=True, slots=True)
class Place:
    """A mutant of a file, and the tests that reach its line."""

    path: Path
    mutant: Mutant
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path}:{self.mutant.line} {self.mutant}"


def main() -> int:
    """Make the mutants, hold each against its tests, print the survivors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", default=",".join(ROOMS), help="folders of pipeline/ (default: %(default)s)")
    parser.add_argument("--number", type=int, default=40, help="mutants of each room, 0: all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="draws the same mutants again")
    parser.add_argument("--at-once", type=int, default=2, help="mutants that are tried at once (default: %(default)s)")
    parser.add_argument("--aim", type=float, default=0.95, help="the share to be caught (default: %(default)s)")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    rooms = options.rooms.split(",")
    with tempfile.TemporaryDirectory() as folder:
        found = [place for room in rooms for place in drawn(room, options.number, options.seed, Path(folder, room))]
        survivors = survived(found, options.at_once, Path(folder))
    return report(found, survivors, options.aim)


def drawn(room: str, number: int, seed: int, copy: Path) -> list[Place]:
    """The mutants of a room to be tried: those of lines that its tests reach, and of others, too."""
    reached = reached_by_tests(room, copy)
    places = [
        Place(path.relative_to(ROOT), mutant, tuple(sorted(reached[path.relative_to(ROOT), mutant.line])[:MOST_TESTS]))
        for path in sorted((ROOT / "pipeline" / room).rglob("*.py"))
        if "samples" not in path.parts
        for mutant in mutants(path.read_text(encoding="utf-8"))
    ]
    chosen = random.Random(seed).sample(places, min(number or len(places), len(places)))
    print(f"{room}: {len(places)} mutants, {len(chosen)} of them are tried", flush=True)
    return chosen


def reached_by_tests(room: str, copy: Path) -> dict[tuple[Path, int], set[str]]:
    """By which tests of `tests/ROOM` each line is reached."""
    copied(copy)
    (copy / "coverage.ini").write_text(f"[run]\ndynamic_context = test_function\nsource = pipeline/{room}\n")
    command = ("-m", "coverage", "run", "--rcfile=coverage.ini", "--data-file=reached", "-m", "pytest", "-q", "-n", "0")
    run(copy, *command, "-p", "no:cacheprovider", "-k", "sqlite or not postgresql", f"tests/{room}", seconds=1800)
    data = CoverageData(str(copy / "reached"))
    data.read()
    found: dict[tuple[Path, int], set[str]] = defaultdict(set)
    for name in data.measured_files():
        for line, contexts in data.contexts_by_lineno(name).items():
            tests = {node_of(context) for context in contexts if ".test_" in context}
            found[Path(name).relative_to(copy), line] |= tests
    return found


def node_of(context: str) -> str:
    """A test function as pytest names it, from `tests.room.test_file.test_function`."""
    module, _, function = context.rpartition(".")
    return f"{module.replace('.', '/')}.py::{function}"


def copied(to: Path) -> None:
    """What the tests need of the checkout."""
    to.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(source, to / name)


def survived(places: list[Place], at_once: int, folder: Path) -> list[Place]:
    """The mutants that no test noticed."""
    copies = [folder / f"copy-{number}" for number in range(at_once)]
    for copy in copies:
        copied(copy)
    idle = list(copies)

    def is_alive(place: Place) -> bool:
        copy = idle.pop()
        try:
            return not is_caught(place, copy)
        finally:
            idle.append(copy)

    with ThreadPoolExecutor(at_once) as pool:
        return [place for place, alive in zip(places, pool.map(is_alive, places), strict=True) if alive]


def is_caught(place: Place, copy: Path) -> bool:
    """Whether a test fails, or hangs, on the mutant. A line that no test reaches lets it live."""
    if not place.tests:
        return False
    target = copy / place.path
    target.write_text(place.mutant.source, encoding="utf-8")
    try:
        chosen = ("-k", "sqlite or not postgresql")
        return run(copy, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *chosen, *place.tests) != 0
    finally:
        shutil.copy(ROOT / place.path, target)


def run(copy: Path, *words: str, seconds: float = SECONDS) -> int:
    """The exit code of a command in a copy; 1 when it takes too long."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": str(copy / "examples")}
    try:
        return subprocess.run(
            [sys.executable, *words], cwd=copy, env=environment, capture_output=True, timeout=seconds, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return 1


def report(found: list[Place], survivors: list[Place], aim: float) -> int:
    """Print what lives, with the reason where it is accepted; the exit code."""
    reasons = accepted()
    unknown = [place for place in survivors if f"{place.path} {place.mutant}" not in reasons]
    for place in survivors:
        reason = reasons.get(f"{place.path} {place.mutant}")
        print(f"{'accepted' if reason else 'SURVIVED'}  {place}" + (f"  ({reason})" if reason else ""))
    caught = 1 - len(unknown) / len(found) if found else 1.0
    print(f"{len(found)} mutants, {len(survivors)} survived, {len(unknown)} of them without a reason: {caught:.0%}")
    return 0 if caught >= aim else 1


def accepted() -> dict[str, str]:
    """The survivors that change nothing which a user could see, each with its reason: `file function: a -> b # reason`."""
    lines = ACCEPTED.read_text(encoding="utf-8").splitlines() if ACCEPTED.exists() else []
    pairs = (line.rsplit("  # ", 1) for line in lines if line and not line.startswith("#"))
    return {key.strip(): reason for key, reason in pairs}


if __name__ == "__main__":
    sys.exit(main())
