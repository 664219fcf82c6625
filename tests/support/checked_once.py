"""Django's checks of models and of the admin, made once in a test process instead of with each command called in it.

They depend on classes, which no test changes, and on the kind of the database; a command makes them all before it starts,
and once more with an engine, which is a third of what a small run costs. The checks of settings are made each time, and
the processes that tests start make all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.admin.checks import check_admin_app
from django.core.checks import CheckMessage
from django.core.checks.model_checks import check_all_models
from django.core.checks.registry import registry
from django.db import connection

OF_CLASSES: tuple[Any, ...] = (check_all_models, check_admin_app)


def remember() -> None:
    """Let each check of classes be made once, and then say again what it said."""
    for check in OF_CLASSES:
        registry.registered_checks.remove(check)
        registry.registered_checks.add(_made_once(check))


def _made_once(check: Any) -> Any:
    made: Callable[..., Sequence[CheckMessage]] = check
    found: dict[tuple[str, ...], Sequence[CheckMessage]] = {}

    @functools.wraps(check)  # and with it the tags, by which a registry chooses
    def again(*, app_configs: Any = None, databases: Any = None, **more: Any) -> Sequence[CheckMessage]:
        if app_configs is not None:
            return made(app_configs=app_configs, databases=databases, **more)
        asked = (connection.vendor, *sorted(databases or ()))
        if asked not in found:
            found[asked] = made(app_configs=None, databases=databases, **more)
        return found[asked]

    return again
