"""compose.yaml, read as Docker would: what each service runs, in which environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
COMPOSE = ROOT / "compose.yaml"
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")


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


def variables() -> set[str]:
    """The variables that compose.yaml takes from .env."""
    return {name for name, _, _ in VARIABLE.findall(COMPOSE.read_text(encoding="utf-8"))} | {"SECRET_KEY"}


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


def _filled(text: str, given: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if given.get(name):
            return given[name]
        if kind == "-":
            return str(rest)
        raise KeyError(f"{name}: {rest}")

    return VARIABLE.sub(value, text)
