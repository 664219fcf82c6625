"""The Dockerfile and compose.yaml, read as Docker would: what the image holds, what each service runs, and with what."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
COMPOSE = ROOT / "compose.yaml"
DOCKERFILE = ROOT / "Dockerfile"
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")
COPY = re.compile(r"^COPY (?!--from)(\S+) (\S+)$", re.M)


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its command, its environment and its health check, with the variables put in."""

    name: str
    command: list[str]
    environment: dict[str, str]
    health: list[str]


def document() -> dict[str, Any]:
    """compose.yaml as it stands."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return loaded


def variables() -> dict[str, str | None]:
    """The variables that compose.yaml takes from .env, with their defaults; None where there is none."""
    found = VARIABLE.findall(COMPOSE.read_text(encoding="utf-8"))
    return {name: rest if kind == "-" else None for name, kind, rest in found}


def service(name: str, given: dict[str, str]) -> Service:
    """A service as it is run where .env holds `given`; KeyError where a variable without a default is missing."""
    read = document()["services"][name]
    health = read.get("healthcheck", {}).get("test", [])
    return Service(
        name,
        [_filled(word, given) for word in read["command"]],
        {key: _filled(value, given) for key, value in read.get("environment", {}).items()},
        [_filled(word, given) for word in health],
    )


def copied() -> dict[str, str]:
    """What the Dockerfile copies out of the checkout: where from, where to."""
    return dict(COPY.findall(DOCKERFILE.read_text(encoding="utf-8")))


def make_app(folder: Path) -> Path:
    """What the image has in /app, and nothing else of the checkout."""
    app = folder / "app"
    app.mkdir()
    for source, target in copied().items():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, app / target, ignore=shutil.ignore_patterns("__pycache__"))
        elif not target.startswith("/"):
            shutil.copy(ROOT / source, app / target)
    return app


def _filled(text: str, given: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if given.get(name):
            return given[name]
        if kind == "-":
            return str(rest)
        raise KeyError(f"{name}: {rest}")

    return VARIABLE.sub(value, text)
