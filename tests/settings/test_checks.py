"""Misconfiguration is said by `manage.py check`, and at each start: what is wrong, and what to do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.db import connections
from pytest_django import Settings

from marketspine.addresses import broker, results_of
from pipeline.checks import configuration
from tests.management.calling import finish, start_in

PUBLIC = ["localhost", "spine.example.com"]
TLS = "rediss://broker.example.com:6379/0"
REDIS = "redis://broker.example.com:6379/0"
SECRET = "s" * 50


def found(settings: Settings, **changes: object) -> list[str]:
    """The ids of what is wrong with these settings."""
    for name, value in changes.items():
        setattr(settings, name, value)
    return [str(message.id).removeprefix("marketspine.") for message in configuration()]


def test_the_defaults_of_a_clean_checkout_are_silent(settings: Settings) -> None:
    assert found(settings, MARKETSPINE_ARCHIVE_DIR=str(Path(configured.BASE_DIR) / "nowhere" / "archive")) == []


@dataclass(frozen=True, slots=True)
class Wrong:
    """Settings, the ids that they are told by, and words of the first message and of its hint."""

    changes: dict[str, object]
    ids: list[str]
    says: str
    advises: str


def fleet(**changes: object) -> dict[str, object]:
    """Settings of a fleet, with changes."""
    return {
        "CELERY_BROKER_URL": REDIS,
        "CELERY_RESULT_BACKEND": results_of(REDIS),
        "SECRET_KEY": SECRET,
    } | changes


def limits(hard: int, visibility: int) -> dict[str, object]:
    """Settings of a hard limit, the others below it, and a visibility timeout."""
    options = {"visibility_timeout": visibility}
    return {
        "MARKETSPINE_FETCH_SECONDS": 1,
        "CELERY_TASK_SOFT_TIME_LIMIT": 2,
        "CELERY_TASK_TIME_LIMIT": hard,
        "CELERY_BROKER_TRANSPORT_OPTIONS": options,
        "CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS": options,
        "CELERY_VISIBILITY_TIMEOUT": visibility,
    }


TIMEOUT_HINT = "above twice MARKETSPINE_HARD_LIMIT_SECONDS"
SITE: dict[str, object] = {"ALLOWED_HOSTS": PUBLIC, "SECRET_KEY": SECRET, "HTTPS": True}
WRONG = [
    Wrong(
        SITE | {"CSRF_TRUSTED_ORIGINS": ["https://spine.example.org:8443"]},
        ["E014"],
        "the site does not answer to spine.example.org",
        "in ALLOWED_HOSTS, without its port",
    ),
    Wrong(SITE | {"CSRF_TRUSTED_ORIGINS": ["http://localhost:8443"]}, ["E014"], "no form comes by http", "https://"),
    Wrong(
        fleet(CELERY_BROKER_URL=f"{TLS}?ssl_cert_reqs=none"),
        ["W006"],
        "CELERY_BROKER_URL is a rediss://",
        "ssl_ca_certs",
    ),
    Wrong(
        fleet(CELERY_BROKER_URL=broker(f"{TLS}?ssl_cert_reqs=CERT_OPTIONAL")),
        ["W006"],
        "stand in for it",
        "ssl_ca_certs",
    ),
    Wrong(
        fleet(CELERY_RESULT_BACKEND=results_of(f"{TLS}?ssl_check_hostname=False")),
        ["W006"],
        "CELERY_RESULT_BACKEND is a rediss://",
        "Remove ssl_cert_reqs and ssl_check_hostname",
    ),
    Wrong(fleet(), ["E002"], "the database is SQLite", "Set DATABASE_URL to a PostgreSQL"),
    Wrong({"CELERY_TASK_ALWAYS_EAGER": True}, ["E003"], "chords lose their errors", "Remove it"),
    Wrong(
        {"CELERY_TASK_SOFT_TIME_LIMIT": 1200},
        ["E005"],
        "(1200 s) is not below the hard one (1200 s)",
        "below MARKETSPINE_HARD_LIMIT_SECONDS",
    ),
    Wrong(
        {"MARKETSPINE_FETCH_SECONDS": 900},
        ["E006"],
        "A source gets 900 s, its task 900 s",
        "below MARKETSPINE_SOFT_LIMIT_SECONDS",
    ),
    Wrong({"CELERY_VISIBILITY_TIMEOUT": 2400}, ["E007"], "in CELERY_VISIBILITY_TIMEOUT (2400 s)", TIMEOUT_HINT),
    Wrong({"CELERY_BROKER_TRANSPORT_OPTIONS": {}}, ["E007"], "CELERY_BROKER_TRANSPORT_OPTIONS (0 s)", TIMEOUT_HINT),
    Wrong(
        {"CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS": {"visibility_timeout": 60}},
        ["E007"],
        "in CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS (60 s)",
        TIMEOUT_HINT,
    ),
    Wrong({"CELERY_TASK_TIME_LIMIT": 1800}, ["E007"] * 3, "twice the hard limit (1800 s)", TIMEOUT_HINT),
    Wrong({"MARKETSPINE_SOURCE": "ftp"}, ["E011"], "'ftp', and there is no such source", "one of api, files"),
    Wrong({"MARKETSPINE_FINRA_API_URL": "http://api.finra.org"}, ["E012"], "is not https", "Unset"),
    Wrong(
        {"MARKETSPINE_FINRA_TOKEN_URL": "https://elsewhere.example"}, ["E012"], "is not among api.finra.org", "Unset"
    ),
    Wrong({"FINRA_CLIENT_ID": "me"}, ["E013"], "one is set: no token could be had", "or neither"),
    Wrong({"MARKETSPINE_STALE_AFTER_SECONDS": 29}, ["W001"], "silent for 29 s", "to 30 or more"),
    Wrong(
        {"DEBUG": True, "ALLOWED_HOSTS": PUBLIC, "SECRET_KEY": SECRET, "HTTPS": True},
        ["E009"],
        "answers to spine.example.com",
        "Unset DEBUG",
    ),
    Wrong({"ALLOWED_HOSTS": PUBLIC, "SECRET_KEY": SECRET}, ["W005"], "sessions cross the network as they are", "TLS"),
    Wrong(
        {"ALLOWED_HOSTS": ["*"], "HTTPS": True},
        ["E010"],
        "the placeholder that everybody knows",
        "50 random characters",
    ),
    Wrong(
        fleet(SECRET_KEY=configured.PLACEHOLDER_KEY + "0"), ["W004"], "and there is a broker", "50 random characters"
    ),
]
RIGHT = [
    SITE | {"CSRF_TRUSTED_ORIGINS": ["https://spine.example.com", "https://spine.example.com:8443"]},
    {"ALLOWED_HOSTS": ["localhost", "[::1]"], "CSRF_TRUSTED_ORIGINS": ["http://localhost:8443", "http://[::1]:8443"]},
    SITE
    | {
        "ALLOWED_HOSTS": [".example.com"],
        "CSRF_TRUSTED_ORIGINS": ["https://*.example.com:8443", "https://example.com"],
    },
    fleet(),
    fleet(CELERY_BROKER_URL=broker(TLS), CELERY_RESULT_BACKEND=results_of(TLS)),
    fleet(CELERY_BROKER_URL="redis+socket:///run/redis.sock", CELERY_RESULT_BACKEND="django-db"),
    {"DEBUG": True, "ALLOWED_HOSTS": ["localhost", "127.0.0.1", "[::1]"]},
    {"ALLOWED_HOSTS": PUBLIC, "SECRET_KEY": SECRET, "HTTPS": True},
    {"MARKETSPINE_STALE_AFTER_SECONDS": 30},
    limits(hard=100, visibility=401),
]


def _named(changes: dict[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in changes.items())


@pytest.fixture
def postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is PostgreSQL, as far as the checks look: they do not connect."""
    monkeypatch.setitem(connections.settings["default"], "ENGINE", "django.db.backends.postgresql")


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.ids[0]} {' '.join(wrong.changes)}")
def test_what_is_wrong_is_said_with_what_to_do(
    settings: Settings, request: pytest.FixtureRequest, wrong: Wrong
) -> None:
    if wrong.ids != ["E002"]:
        request.getfixturevalue("postgresql")

    assert found(settings, **wrong.changes) == wrong.ids
    message = configuration()[0]
    assert wrong.says in message.msg
    assert wrong.advises in str(message.hint)


@pytest.mark.usefixtures("postgresql")
@pytest.mark.parametrize("changes", RIGHT, ids=_named)
def test_what_works_is_silent(settings: Settings, changes: dict[str, object]) -> None:
    assert found(settings, **changes) == []


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

    ran = finish(start_in({**os.environ, **bad}, "manage.py", *words))

    assert ran.code == code
    assert "marketspine.E002" in ran.err
    assert "HINT: Set DATABASE_URL to a PostgreSQL" in ran.err
    assert not (tmp_path / "ledger.sqlite3").exists()


@pytest.mark.parametrize(
    ("name", "ids", "says"),
    [
        ("MARKETSPINE_SOURCE_DIRR", ["E015"], "sets MARKETSPINE_SOURCE_DIRR, which is no setting"),
        ("MARKETSPINE_SOURCE_DIRRE", ["E015"], "did you mean MARKETSPINE_SOURCE_DIR?"),
        ("MARKETSPINE_ARCHIVEDIR", ["E015"], "did you mean MARKETSPINE_ARCHIVE_DIR?"),
        ("MARKETSPINE_ARCHIV_DIR_FILE", ["E015"], "did you mean MARKETSPINE_ARCHIVE_DIR?"),
        ("marketspine_log_level", ["E015"], "did you mean MARKETSPINE_LOG_LEVEL?"),
        ("CELERY_BROKER", ["E015"], "did you mean CELERY_BROKER_URL?"),
        ("FINRA_CLIENTSECRET", ["E015"], "did you mean FINRA_CLIENT_SECRET?"),
        ("MARKETSPINE_BANNER", ["W007"], "MARKETSPINE_BANNER, which is no setting: it changes nothing"),
        ("MARKETSPINE_SERVICE_HOST", [], ""),
        ("MARKETSPINE_WEB_PORT_8000_TCP_ADDR", [], ""),
        ("MARKETSPINE_PORT", [], ""),
        ("CELERY_LOG_FILE", [], ""),
    ],
)  # fmt: skip
def test_a_variable_that_is_no_setting_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, ids: list[str], says: str
) -> None:
    monkeypatch.setenv(name, "1")
    assert found(settings) == ids
    if ids:
        assert says in configuration()[0].msg
