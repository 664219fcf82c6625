"""System checks: each start names the settings that cannot work, or will hurt later, and the remedy."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.db import connections
from django.http.request import validate_host

from marketspine.environment import is_set
from pipeline.engine.embedded import NO_BROKER
from pipeline.finra.sources import REGISTRY
from pipeline.finra.sources.api.access import check_url
from pipeline.finra.sources.base import UnsafeSource
from pipeline.loopback import is_loopback

TEST_CLIENT = "testserver"  # the host that Django's test client asks
FEWEST_BEATS_SECONDS = 30
ADVICE_ON_KEYS = "Set SECRET_KEY (or SECRET_KEY_FILE) to 50 random characters or more."


PREFIXES = ("MARKETSPINE_", "FINRA_", "CELERY_")
# What Kubernetes puts into each container for a service called marketspine, or marketspine-web.
SERVICE_LINK = re.compile(r"MARKETSPINE(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)")
LIKENESS = 0.85


@register("marketspine")
def configuration(**_options: Any) -> list[CheckMessage]:
    """Everything that is wrong with the settings."""
    return [*_engine(), *_limits(), *_redelivery(), *_archive(), *_exposure(), *_origins(), *_source(), *_unread()]


def _engine() -> Iterator[CheckMessage]:
    broker = settings.CELERY_BROKER_URL
    if broker != NO_BROKER and connections.settings["default"]["ENGINE"].endswith("sqlite3"):
        yield Error(
            "A broker is configured, and the database is SQLite: workers on other machines cannot share it.",
            hint="Set DATABASE_URL to a PostgreSQL, or unset CELERY_BROKER_URL to run in one process.",
            id="marketspine.E002",
        )
    if getattr(settings, "CELERY_TASK_ALWAYS_EAGER", False):
        yield Error(
            "CELERY_TASK_ALWAYS_EAGER is on: in eager mode chords lose their errors, and retries break.",
            hint="Remove it; without a broker, commands bring a worker of their own.",
            id="marketspine.E003",
        )
    yield from _unverified()


def _unverified() -> Iterator[CheckMessage]:
    """A `rediss://` that verifies no server: a man in the middle reads the passwords, and can send tasks."""
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        options = parse_qs(urlsplit(getattr(settings, name)).query)
        if options.get("ssl_cert_reqs", ["required"]) != ["required"] or options.get("ssl_check_hostname") == ["false"]:
            yield checks.Warning(
                f"{name} is a rediss:// that does not verify the server: anybody on the way can stand in for it.",
                hint="Remove ssl_cert_reqs and ssl_check_hostname from it, and name your own authority: ssl_ca_certs=/file.",
                id="marketspine.W006",
            )


def _limits() -> Iterator[CheckMessage]:
    hard, soft = settings.CELERY_TASK_TIME_LIMIT, settings.CELERY_TASK_SOFT_TIME_LIMIT
    if soft >= hard:
        yield Error(
            f"The soft limit of a task ({soft} s) is not below the hard one ({hard} s): a task would never end itself.",
            hint="Set MARKETSPINE_SOFT_LIMIT_SECONDS below MARKETSPINE_HARD_LIMIT_SECONDS.",
            id="marketspine.E005",
        )
    if soft <= settings.MARKETSPINE_FETCH_SECONDS:
        yield Error(
            f"A source gets {settings.MARKETSPINE_FETCH_SECONDS} s, its task {soft} s: a hung source would go unnamed.",
            hint="Set MARKETSPINE_FETCH_SECONDS below MARKETSPINE_SOFT_LIMIT_SECONDS.",
            id="marketspine.E006",
        )
    if settings.MARKETSPINE_STALE_AFTER_SECONDS < FEWEST_BEATS_SECONDS:
        yield checks.Warning(
            f"A worker that is silent for {settings.MARKETSPINE_STALE_AFTER_SECONDS} s is taken to be dead: "
            "a busy machine is silent for longer.",
            hint=f"Set MARKETSPINE_STALE_AFTER_SECONDS to {FEWEST_BEATS_SECONDS} or more.",
            id="marketspine.W001",
        )


def _redelivery() -> Iterator[CheckMessage]:
    """Redis delivers a task again that a worker has had for longer than the visibility timeout.

    https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html#visibility-timeout
    """
    hard, timeouts = settings.CELERY_TASK_TIME_LIMIT, _visibility_timeouts()
    for place, seconds in timeouts.items():
        if seconds <= 2 * hard:
            yield Error(
                f"The visibility timeout in {place} ({seconds} s) is not above twice the hard limit ({hard} s): "
                "Redis would deliver a task again while it is worked on.",
                hint="Set MARKETSPINE_VISIBILITY_TIMEOUT_SECONDS above twice MARKETSPINE_HARD_LIMIT_SECONDS.",
                id="marketspine.E007",
            )


def _visibility_timeouts() -> dict[str, int]:
    """The timeout in the three places from which Celery reads it."""
    options = ("CELERY_BROKER_TRANSPORT_OPTIONS", "CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS")
    found: dict[str, int] = {name: getattr(settings, name).get("visibility_timeout", 0) for name in options}
    return found | {"CELERY_VISIBILITY_TIMEOUT": settings.CELERY_VISIBILITY_TIMEOUT}


def _archive() -> Iterator[CheckMessage]:
    """The archive: a bucket, or a folder. The default folder is made when first needed; a named one should exist."""
    if settings.MARKETSPINE_STORAGE_URL:
        yield from _bucket()
        return
    folder = Path(settings.MARKETSPINE_ARCHIVE_DIR)
    if folder.exists():
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            yield Error(
                f"The archive {folder} is not a folder that can be written to: nothing could be captured.",
                hint="Give the folder to the user that runs Market Spine, or set MARKETSPINE_ARCHIVE_DIR to another.",
                id="marketspine.E008",
            )
    elif is_set("MARKETSPINE_ARCHIVE_DIR"):
        yield checks.Warning(
            f"The archive folder {folder} does not exist. Is its volume mounted? It is made when something is captured.",
            hint="Mount it, make it, or set MARKETSPINE_ARCHIVE_DIR to where the archive is.",
            id="marketspine.W002",
        )


def _bucket() -> Iterator[CheckMessage]:
    """The packages for a bucket have to be installed. The bucket itself is not asked: it may be away for a while."""
    if any(importlib.util.find_spec(package) is None for package in ("boto3", "storages")):
        yield Error(
            "MARKETSPINE_STORAGE_URL names a bucket, and the packages for buckets are not installed.",
            hint="Install requirements-extras.txt in place of requirements.txt, or unset MARKETSPINE_STORAGE_URL.",
            id="marketspine.E019",
        )
    if is_set("MARKETSPINE_ARCHIVE_DIR") and Path(settings.MARKETSPINE_ARCHIVE_DIR, "payloads").is_dir():
        yield checks.Warning(
            f"The archive is in a bucket, and {settings.MARKETSPINE_ARCHIVE_DIR} has payloads, too: they are not read.",
            hint="Copy the folder's content into the bucket once, under its prefix; then unset MARKETSPINE_ARCHIVE_DIR.",
            id="marketspine.W008",
        )


def _source() -> Iterator[CheckMessage]:
    """The settings of the sources. An address that is not FINRA's is refused again before each request."""
    if settings.MARKETSPINE_SOURCE not in REGISTRY:
        yield Error(
            f"MARKETSPINE_SOURCE is {settings.MARKETSPINE_SOURCE!r}, and there is no such source: no schedule could run.",
            hint=f"Set it to one of {', '.join(sorted(REGISTRY))}.",
            id="marketspine.E011",
        )
    yield from _demo()
    for url in (settings.MARKETSPINE_FINRA_API_URL, settings.MARKETSPINE_FINRA_TOKEN_URL):
        try:
            check_url(url, settings.MARKETSPINE_FINRA_HOSTS)
        except UnsafeSource as problem:
            yield Error(
                f"FINRA's API is not asked: {problem}.",
                hint="Unset MARKETSPINE_FINRA_API_URL and MARKETSPINE_FINRA_TOKEN_URL, or name the host.",
                id="marketspine.E012",
            )
    if bool(settings.FINRA_CLIENT_ID) != bool(settings.FINRA_CLIENT_SECRET):
        yield Error(
            "Of FINRA_CLIENT_ID and FINRA_CLIENT_SECRET one is set: no token could be had.",
            hint="Set both (or FINRA_CLIENT_SECRET_FILE), or neither: weekly data needs none.",
            id="marketspine.E013",
        )


def _origins() -> Iterator[CheckMessage]:
    """The origins of forms: with a typing error every sign-in would be answered with 403."""
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        parts = urlsplit(origin)
        host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
        if settings.HTTPS and parts.scheme != "https":
            yield Error(
                f"CSRF_TRUSTED_ORIGINS trusts {origin}, and MARKETSPINE_HTTPS is on: no form comes by http.",
                hint="Write https:// in CSRF_TRUSTED_ORIGINS.",
                id="marketspine.E014",
            )
        elif not validate_host(host.removeprefix("*"), settings.ALLOWED_HOSTS):
            yield Error(
                f"CSRF_TRUSTED_ORIGINS trusts {origin}, and the site does not answer to {host}: no form comes from there.",
                hint="Name the same host in ALLOWED_HOSTS, without its port.",
                id="marketspine.E014",
            )


def _unread() -> Iterator[CheckMessage]:
    """Variables that look like settings and are none: a misspelt one would silently leave the default."""
    names = {name.removesuffix("_FILE"): name for name in os.environ if name.upper().startswith(PREFIXES)}
    for name, written in sorted(names.items()):
        if name in settings.READ_FROM_ENVIRONMENT or SERVICE_LINK.fullmatch(name):
            continue
        if meant := get_close_matches(name.upper(), settings.READ_FROM_ENVIRONMENT, 1, LIKENESS):
            yield Error(
                f"The environment sets {written}, which is no setting: did you mean {meant[0]}?",
                hint=f"Write {meant[0]}, or unset {written}.",
                id="marketspine.E015",
            )
        elif name.startswith("MARKETSPINE_"):
            yield checks.Warning(
                f"The environment sets {written}, which is no setting: it changes nothing.",
                hint="docs/settings.md lists the settings.",
                id="marketspine.W007",
            )


def _demo() -> Iterator[CheckMessage]:
    """The demo keeps its data apart: no setting may place it elsewhere."""
    named = [name for name in settings.LOCATIONS if is_set(name)]
    if settings.MARKETSPINE_DEMO and named:
        yield Error(
            f"MARKETSPINE_DEMO is on, and {' and '.join(named)} would have the demo elsewhere than in var/demo.",
            hint="Unset MARKETSPINE_DEMO to work on your own data, or unset the others to see the demo.",
            id="marketspine.E018",
        )


def _exposure() -> Iterator[CheckMessage]:
    public = sorted({host for host in settings.ALLOWED_HOSTS if host != TEST_CLIENT and not is_loopback(host)})
    if settings.DEBUG and public:
        yield Error(
            f"DEBUG is on, and the site answers to {', '.join(public)}: errors would show settings and code to anybody.",
            hint="Unset DEBUG, or take the public names out of ALLOWED_HOSTS.",
            id="marketspine.E009",
        )
    if public and not settings.HTTPS:
        yield checks.Warning(
            f"The site answers to {', '.join(public)}, and MARKETSPINE_HTTPS is off: passwords and sessions cross the "
            "network as they are.",
            hint="Put a proxy that speaks TLS in front, have it set X-Forwarded-Proto, and set MARKETSPINE_HTTPS=true.",
            id="marketspine.W005",
        )
    if not settings.SECRET_KEY.startswith(settings.PLACEHOLDER_KEY):
        return
    if public:
        yield Error(
            "SECRET_KEY is the placeholder that everybody knows: anybody could sign in as anybody.",
            hint=ADVICE_ON_KEYS,
            id="marketspine.E010",
        )
    elif settings.CELERY_BROKER_URL != NO_BROKER:
        yield checks.Warning(
            "SECRET_KEY is the placeholder that everybody knows, and there is a broker: a fleet has others on its network.",
            hint=ADVICE_ON_KEYS,
            id="marketspine.W004",
        )
