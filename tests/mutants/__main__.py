"""`python -m tests.mutants`: change the code a little, run the tests of its own folder, and list what no test noticed.

A mutant is held against the tests of its room that enter its function: see `tests.mutants.warm`. Work is done in a copy of
the checkout. Exit code: 0 when at least the share asked for is caught.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.making import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("finra", "vintages", "capture", "weeks", "runs")
ACCEPTED = Path(__file__).with_name("accepted.txt")
COPIED = ("manage.py", "pyproject.toml", "marketspine", "pipeline", "tests", "Makefile", "benchmarks")
PYTEST = ("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-p", "tests.mutants.warm", "--basetemp=base")


@dataclass(frozen=True, slots=True)
class Place:
    """A mutant of a file."""

    path: Path
    mutant: Mutant

    def __str__(self) -> str:
        return f"{self.path}:{self.mutant.line} {self.mutant}"


def main() -> int:
    """Make the mutants, hold each against its tests, print the survivors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", default=",".join(ROOMS), help="folders of pipeline/ (default: %(default)s)")
    parser.add_argument("--number", type=int, default=40, help="mutants of each room, 0: all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="draws the same mutants again")
    parser.add_argument("--only", default="", help="tries only the mutants whose file and function contain this text")
    parser.add_argument("--aim", type=float, default=0.95, help="the share to be caught (default: %(default)s)")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    found, survivors = list[Place](), list[Place]()
    for room in options.rooms.split(","):
        places = drawn(room, options.number, options.seed, options.only)
        with tempfile.TemporaryDirectory() as folder:
            alive = survived(room, places, Path(folder).resolve() / room)
        print(f"{room}: {len(places) - len(alive)} of {len(places)} caught", flush=True)
        found, survivors = found + places, survivors + alive
    return report(found, survivors, options.aim)


def drawn(room: str, number: int, seed: int, only: str) -> list[Place]:
    """The mutants of a room to be tried."""
    places = [
        Place(path.relative_to(ROOT), mutant)
        for path in sorted((ROOT / "pipeline" / room).rglob("*.py"))
        if "samples" not in path.parts
        for mutant in mutants(path.read_text(encoding="utf-8"))
    ]
    chosen = random.Random(seed).sample(places, min(number or len(places), len(places)))
    print(f"{room}: {len(places)} mutants, {len(chosen)} of them are drawn", flush=True)
    return [place for place in chosen if only in str(place)]


def survived(room: str, places: list[Place], copy: Path) -> list[Place]:
    """The mutants that no test noticed, and those that could not be tried; prints how each fared."""
    copied(copy)
    tasks = [
        {"path": str(place.path), "line": place.mutant.line, "source": place.mutant.source, "name": str(place)}
        for place in places
    ]
    (copy / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    run(copy, *PYTEST, "-k", "sqlite or not postgresql", f"tests/{room}")
    if not (copy / "answers").exists():
        raise SystemExit(f"the tests of {room} do not run: see above")
    answers = (copy / "answers").read_text(encoding="utf-8").splitlines()
    print(*answers, sep="\n", flush=True)
    caught = [answer.startswith(("caught", "hangs")) for answer in answers]
    return [place for place, is_caught in zip(places, caught, strict=True) if not is_caught]


def copied(to: Path) -> None:
    """What the tests need of the checkout."""
    to.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(source, to / name)


def run(copy: Path, *words: str) -> None:
    """Run Python in the copy."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": str(copy / "examples")}
    subprocess.run([sys.executable, *words], cwd=copy, env=environment, check=False)


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
    """The survivors that change nothing which a user could see, each with its reason: `file function: a -> b  # reason`."""
    lines = ACCEPTED.read_text(encoding="utf-8").splitlines() if ACCEPTED.exists() else []
    pairs = (line.rsplit("  # ", 1) for line in lines if line and not line.startswith("#"))
    return {key.strip(): reason for key, reason in pairs}


if __name__ == "__main__":
    sys.exit(main())
