"""Secrets of channels: the ledger names them, and the environment or a file has them; they are never stored."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from marketspine.environment import Environment, Misconfigured, is_set
from pipeline.models.channel import SECRET_NAME
from pipeline.notices.failures import Lasting

HIDDEN = "***"
SHORTEST_PART = 6
RULE = "SLACK_, PAGERDUTY_, WEBHOOK_, APPRISE_ or NOTIFY_ and capital letters behind it, such as SLACK_URL"


def value_of(name: str) -> str:
    """The secret called `name`, from NAME or from the file that NAME_FILE names; Lasting when there is none."""
    check_name(name)
    if not is_set(name):
        raise Lasting(f"{name} is not set: set it, or {name}_FILE, in the environment of every process that sends")
    try:
        value = Environment().secret(name, default="")
    except Misconfigured as error:
        raise Lasting(str(error)) from None
    if not value.strip():
        raise Lasting(f"{name} is empty")
    return value.strip()


def check_name(name: str) -> None:
    """Lasting for a name that is no channel's secret: no other variable of the environment is ever read."""
    if not SECRET_NAME.fullmatch(name) or name.endswith("_FILE") or name in settings.READ_FROM_ENVIRONMENT:
        raise Lasting(f"{name!r} names no secret of a channel: write {RULE}")


def without(text: str, *values: str) -> str:
    """The text of a library or a service, with secrets and the parts of their addresses hidden."""
    for value in values:
        parts = urlsplit(value) if "://" in value else None
        hidden = [value, parts.path, *parts.path.split("/"), parts.query] if parts else [value]
        for part in sorted(filter(None, hidden), key=len, reverse=True):
            if len(part) >= SHORTEST_PART:
                text = text.replace(part, HIDDEN)
    return text
