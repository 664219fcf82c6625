"""Misconfiguration is said by `manage.py check`, and at each start: what is wrong, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.db import connections
from pytest_django import Settings

from marketspine.environment import results_of
from pipeline.checks import configuration

PUBLIC = ["localhost", "spine.example.com"]
REDIS = "redis://broker.example.com:6379/0"


def found(settings: Settings, **changes: object) -> list[str]:
    """The ids of what is wrong with these settings."""
    for name, value in changes.items():
        setattr(settings, name, value)
    return [str(message.id).removeprefix("marketspine.") for message in configuration()]


def test_the_defaults_of_a_clean_checkout_are_silent(settings: Settings) -> None:
    assert found(settings, MARKETSPINE_ARCHIVE_DIR=str(Path(configured.BASE_DIR) / "nowhere" / "archive")) == []


@dataclass(frozen=True, slots=True)
class Wrong:
    """Settings, the id that they are told by, and words of the message."""

    changes: dict[str, object]
    ids: list[str]
    says: str


WRONG = [
    Wrong(
        {"CELERY_BROKER_URL": "amqp://guest@rabbit//", "CELERY_RESULT_BACKEND": results_of(REDIS)},
        ["E001"],
        "'amqp' broker",
    ),
    Wrong({"CELERY_BROKER_URL": REDIS, "CELERY_RESULT_BACKEND": results_of(REDIS)}, ["E002"], "the database is SQLite"),
    Wrong({"CELERY_TASK_ALWAYS_EAGER": True}, ["E003"], "chords lose their errors"),
    Wrong({"CELERY_BROKER_URL": REDIS, "CELERY_RESULT_BACKEND": "cache+memory://"}, ["E004"], "no chord would end"),
    Wrong({"CELERY_BROKER_URL": REDIS, "CELERY_RESULT_BACKEND": "rpc://"}, ["E004"], "'rpc://' is not shared"),
    Wrong({"CELERY_TASK_SOFT_TIME_LIMIT": 1200}, ["E005"], "(1200 s) is not below the hard one (1200 s)"),
    Wrong({"MARKETSPINE_FETCH_SECONDS": 900}, ["E006"], "A source gets 900 s, its task 900 s"),
    Wrong({"CELERY_VISIBILITY_TIMEOUT": 2400}, ["E007"], "in CELERY_VISIBILITY_TIMEOUT (2400 s)"),
    Wrong({"CELERY_BROKER_TRANSPORT_OPTIONS": {}}, ["E007"], "in CELERY_BROKER_TRANSPORT_OPTIONS (0 s)"),
    Wrong(
        {"CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS": {"visibility_timeout": 60}},
        ["E007"],
        "in CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS (60 s)",
    ),
    Wrong({"CELERY_TASK_TIME_LIMIT": 1800}, ["E007"] * 3, "twice the hard limit (1800 s)"),
    Wrong({"MARKETSPINE_STALE_AFTER_SECONDS": 29}, ["W001"], "silent for 29 s"),
    Wrong({"DEBUG": True, "ALLOWED_HOSTS": PUBLIC, "SECRET_KEY": "s" * 50}, ["E009"], "answers to spine.example.com"),
    Wrong({"ALLOWED_HOSTS": ["*"]}, ["E010"], "the placeholder that everybody knows"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: " ".join(map(str, wrong.changes)))
def test_what_is_wrong_is_said_with_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, wrong: Wrong
) -> None:
    if wrong.ids != ["E002"]:
        postgresql = {**connections.settings["default"], "ENGINE": "django.db.backends.postgresql"}
        monkeypatch.setitem(connections.settings, "default", postgresql)

    assert found(settings, **wrong.changes) == wrong.ids
    for message in configuration():
        assert message.hint
    assert wrong.says in configuration()[0].msg


def test_an_archive_that_is_a_file_is_an_error(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "archive"
    file.touch()
    assert found(settings, MARKETSPINE_ARCHIVE_DIR=str(file)) == ["E008"]


def test_an_archive_that_was_named_and_is_not_there_is_a_warning(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = str(tmp_path / "not mounted")
    monkeypatch.delenv("MARKETSPINE_ARCHIVE_DIR", raising=False)
    assert found(settings, MARKETSPINE_ARCHIVE_DIR=missing) == []

    monkeypatch.setenv("MARKETSPINE_ARCHIVE_DIR", missing)
    assert found(settings) == ["W002"]


@pytest.mark.parametrize(("words", "code"), [(["check"], 1), (["run_weekly", "--mode", "dry-run"], 2)])
def test_commands_say_it_and_do_not_begin(tmp_path: Path, words: list[str], code: int) -> None:
    bad = {"CELERY_BROKER_URL": REDIS, "DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.sqlite3'}"}

    ran = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=configured.BASE_DIR,
        env=os.environ | bad,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == code
    assert "marketspine.E002" in ran.stderr
    assert "HINT: Set DATABASE_URL to a PostgreSQL" in ran.stderr
    assert not (tmp_path / "ledger.sqlite3").exists()
