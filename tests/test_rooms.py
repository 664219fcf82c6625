"""The arrows of the design: who may import whom."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

PIPELINE = Path(settings.BASE_DIR) / "pipeline"
LAYERS = [
    {"calendar", "plain_text", "signatures"},
    {"sources", "failures"},
    {"finra"},
    {"models"},
    {"data_kinds"},
    {"stopping", "workers", "transient"},
    {"vintages", "connections", "patience"},
    {"archive_checks", "movements", "reconciliation"},
    {"clock", "endings"},
    {"capture", "weeks", "review"},
    {"trends"},
    {"configured", "restoring"},
    {"planning", "inspection", "archive_findings"},
    {"steps", "selectors", "grid", "samples", "estimates", "archive_repairs"},
    {"runs", "anomaly_repairs"},
    {"canvas", "summary", "doctor"},
    {"sweeper", "schedules", "embedded", "checkup"},
    {"beat"},
    {"waiting", "tasks", "serving", "operations", "overview"},
    {"checks"},
    {"management", "admin"},
]
WITHOUT_DATABASE = (
    "calendar",
    "plain_text",
    "signatures",
    "sources",
    "weeks/concentration",
    "capture/decision",
    "capture/likeness",
    "capture/plausibility",
    "samples",
    "finra",
)
CELERY = ("celery", "kombu", "django_celery_beat", "django_celery_results")
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}


def modules(room: str) -> list[Path]:
    file = PIPELINE / f"{room}.py"
    return [file] if file.exists() else sorted((PIPELINE / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def rooms_imported(path: Path) -> set[str]:
    parts = (name.split(".") for name in imports(path) if name.startswith("pipeline."))
    return {part[1] for part in parts} & HEIGHT.keys()


@pytest.mark.parametrize("room", sorted(room for room in HEIGHT if HEIGHT[room] < HEIGHT["canvas"]))
def test_rooms_below_the_canvas_know_no_celery(room: str) -> None:
    for path in modules(room):
        assert not {name for name in imports(path) if name.split(".")[0] in CELERY}, path


def test_every_module_is_in_a_layer() -> None:
    no_rooms = {"__init__", "__pycache__", "apps", "migrations", "static", "templates"}
    found = {path.stem for path in PIPELINE.iterdir()} - no_rooms
    assert found == HEIGHT.keys()


@pytest.mark.parametrize("room", sorted(HEIGHT))
def test_arrows_point_downwards(room: str) -> None:
    for path in modules(room):
        upwards = {other for other in rooms_imported(path) - {room} if HEIGHT[other] >= HEIGHT[room]}
        assert not upwards, f"{path.name} imports {upwards}"


@pytest.mark.parametrize("room", WITHOUT_DATABASE)
def test_rooms_without_a_database_import_no_django(room: str) -> None:
    for path in modules(room):
        assert not {name for name in imports(path) if name.split(".")[0] in ("django", "psycopg", "sqlite3")}, path


def test_only_the_room_of_vintages_opens_parquet_files() -> None:
    opens = re.compile(r"\b(scan|read)_parquet\(")
    found = [path for path in PIPELINE.rglob("*.py") if opens.search(path.read_text(encoding="utf-8"))]
    assert {path.relative_to(PIPELINE).parts[0] for path in found} == {"vintages"}
