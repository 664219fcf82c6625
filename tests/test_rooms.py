"""The rooms of the design: what each may import, and what each promises."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

PIPELINE = Path(settings.BASE_DIR) / "pipeline"

# Each room may import what stands in a line above its own, and nothing else of the pipeline.
ROOMS = (
    {"checkpoints", "loopback", "task_names"},
    {"finra"},
    {"models"},
    {"resilience"},
    {"vintages"},
    {"capture", "weeks"},
    {"readers"},
    {"integrity"},
    {"runs"},
    {"engine", "notices"},
    {"review", "checks", "keeping"},
    {"conditions"},
    {"operations", "metrics"},
    {"tasks"},
    {"admin", "api", "management"},
)
HEIGHT = {room: height for height, rooms in enumerate(ROOMS) for room in rooms}
WIRING = {"__init__", "apps", "migrations", "static", "templates"}
CELERY = {"celery", "kombu", "django_celery_beat", "django_celery_results"}
DATABASE = {"django", "psycopg", "sqlite3"}
PURE = (
    "finra",
    "weeks/concentration",
    "capture/decision",
    "capture/likeness",
    "capture/neighbours",
    "capture/plausibility",
    "keeping/policy",
)
SAVES = re.compile(r"\.(save|create|bulk_create|update_or_create|get_or_create|bulk_update|delete)\(|\.update\(\w+=")
PARQUET = re.compile(r"\b(scan|read)_parquet\(")


def modules(room: str) -> list[Path]:
    file = PIPELINE / f"{room}.py"
    return [file] if file.exists() else sorted((PIPELINE / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def rooms_imported(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("pipeline.")} & HEIGHT.keys()


def test_every_folder_and_file_of_the_pipeline_is_a_room() -> None:
    assert {path.stem for path in PIPELINE.iterdir()} - {"__pycache__", *WIRING} == HEIGHT.keys()


@pytest.mark.parametrize("room", sorted(HEIGHT))
def test_a_room_imports_only_rooms_above_it_in_the_table(room: str) -> None:
    for path in modules(room):
        wrong = {other for other in rooms_imported(path) - {room} if HEIGHT[other] >= HEIGHT[room]}
        assert not wrong, f"{path.relative_to(PIPELINE)} imports {wrong}"


@pytest.mark.parametrize("room", [room for room in sorted(HEIGHT) if HEIGHT[room] < HEIGHT["engine"]])
def test_rooms_above_the_engine_know_no_celery(room: str) -> None:
    for path in modules(room):
        assert not {name for name in imports(path) if name.split(".")[0] in CELERY}, path


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_import_no_django_and_no_database(room: str) -> None:
    for path in modules(room):
        assert not {name for name in imports(path) if name.split(".")[0] in DATABASE}, path


@pytest.mark.parametrize("room", ["review", "readers"])
def test_who_answers_saves_nothing(room: str) -> None:
    found = [path.name for path in modules(room) if SAVES.search(path.read_text(encoding="utf-8"))]
    assert not found


def test_only_the_room_of_vintages_opens_parquet_files() -> None:
    found = [path for path in PIPELINE.rglob("*.py") if PARQUET.search(path.read_text(encoding="utf-8"))]
    assert {path.relative_to(PIPELINE).parts[0] for path in found} == {"vintages"}


def test_packages_hand_nothing_out_that_a_fault_point_could_miss() -> None:
    """A name that `__init__` hands out is looked up there, and a test that replaces it in its module changes nothing."""
    handing_out = {"models", "operations", "admin", "finra/sources", "finra/samples", "readers"}
    packages = {
        str(path.parent.relative_to(PIPELINE))
        for path in PIPELINE.rglob("*/__init__.py")
        if set(imports(path)) - {"__future__.annotations"}
    }
    assert packages == handing_out
