"""The environment, read through one helper that fails loudly: which variable, what it holds, what it should be."""

from __future__ import annotations

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured


class Environment(environ.FileAwareEnv):  # type: ignore[misc] # django-environ has no types
    """django-environ's reader; NAME may also come from the file that NAME_FILE points at, less its last newline."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        """The value of `var`; ImproperlyConfigured, with its name, when it cannot be read."""
        try:
            value = super().get_value(var, *args, **kwargs)
        except (ValueError, OSError) as error:
            raise ImproperlyConfigured(f"the environment variable {var} cannot be read: {error}") from error
        return value.rstrip("\r\n") if isinstance(value, str) else value

    def share(self, var: str, default: float) -> float:
        """A share from 0 to 1."""
        share: float = self.float(var, default=default)
        if not 0 <= share <= 1:
            raise ImproperlyConfigured(f"the environment variable {var} is a share from 0 to 1, not {share}")
        return share

    def at_least_one(self, var: str, default: int) -> int:
        """A whole number from 1."""
        number: int = self.int(var, default=default)
        if number < 1:
            raise ImproperlyConfigured(f"the environment variable {var} is a number from 1, not {number}")
        return number


def database(url: str) -> dict[str, Any]:
    """Django's DATABASES entry for `url`, with the SQLite options that keep concurrent writers from failing.

    A transaction that reads and then writes fails with "database is locked" under DEFERRED; IMMEDIATE queues it.
    """
    config: dict[str, Any] = environ.Env.db_url_config(url)
    engine = config.get("ENGINE", "")
    if engine.endswith("sqlite3"):
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    elif not engine.endswith("postgresql"):
        scheme = url.split(":", 1)[0]
        raise ImproperlyConfigured(f"DATABASE_URL: {scheme!r} is not supported; use sqlite:///... or postgresql://...")
    return config


def results_of(url: str) -> str:
    """Celery's result backend for `url`: in Redis, the one that does not listen (`marketspine.results`)."""
    return f"marketspine.results:Counters+{url}" if url.startswith("redis") else url
