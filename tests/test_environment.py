"""Misconfiguration is said loudly: the variable's name, what it holds, and exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from marketspine.environment import Environment, database


def manage(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/db", **variables}
    command = [sys.executable, "manage.py", "doctor"]
    return subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MARKETSPINE_MAX_FILE_BYTES", "abc", "MARKETSPINE_MAX_FILE_BYTES cannot be read: invalid literal"),
        ("MARKETSPINE_MAX_FILE_BYTES", "0", "MARKETSPINE_MAX_FILE_BYTES is a number from 1, not 0"),
        ("MARKETSPINE_MAX_REJECT_SHARE", "1.5", "MARKETSPINE_MAX_REJECT_SHARE is a share from 0 to 1, not 1.5"),
        ("MARKETSPINE_MAX_SHRINK_SHARE", "few", "MARKETSPINE_MAX_SHRINK_SHARE cannot be read: could not convert"),
        ("DATABASE_URL", "mysql://localhost/x", "'mysql' is not supported; use sqlite:///... or postgresql://..."),
        ("SECRET_KEY_FILE", "/nowhere", "SECRET_KEY cannot be read: [Errno 2]"),
    ],
)
def test_a_bad_variable_ends_the_command_with_its_name(tmp_path: Path, variable: str, value: str, said: str) -> None:
    ended = manage(tmp_path, **{variable: value})
    assert ended.returncode == 2
    assert said in ended.stderr
    assert ended.stderr.startswith("misconfigured: ")
    assert "Traceback" not in ended.stderr


def test_a_secret_from_a_file_loses_its_last_newline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("hush\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "secret"))
    assert Environment().str("SECRET_KEY") == "hush"


def test_sqlite_begins_its_transactions_immediately() -> None:
    assert database("sqlite:///x.db")["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database("postgresql://u@h/d")["ENGINE"] == "django.db.backends.postgresql"
    with pytest.raises(ImproperlyConfigured, match="'oracle' is not supported"):
        database("oracle://u@h/d")
