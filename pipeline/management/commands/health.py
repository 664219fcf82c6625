"""`manage.py health`: what a container's health check asks."""

from __future__ import annotations

import http.client
import socket
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from pipeline.engine.canvas import UNREACHABLE
from pipeline.engine.embedded import NO_BROKER
from pipeline.management.base import BadArguments, SpineCommand, failed_if
from pipeline.resilience import clock
from pipeline.review.alarms import SILENCE

TIMEOUT = 5


class Command(SpineCommand):
    """Say whether this container's web, worker or beat does its work."""

    help = (
        "Ask whether the web server, the worker of this host, or beat does its work. For health checks of containers. "
        "Exit code: 0 it does, 1 it does not."
    )
    examples = (("health web --port 8000", "whether the web server of this host answers"),)

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The service to ask, and its port."""
        parser.add_argument("part", choices=("web", "worker", "beat"), help="what to ask")
        parser.add_argument("--port", type=int, default=8000, help="of the web server (default: %(default)s)")

    def work(self, **options: Any) -> int:
        """Ask, say what the answer was."""
        ask = {"web": lambda: _web(options["port"]), "worker": _worker, "beat": _beat}[options["part"]]
        healthy, told = ask()
        if self.as_json:
            self.document({"part": options["part"], "healthy": healthy, "told": told})
        self.line(told)
        return failed_if(not healthy)


def _web(port: int) -> tuple[bool, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status == http.HTTPStatus.OK, f"web: {answer.status} {answer.read(200).decode().strip()}"
    except (OSError, http.client.HTTPException) as error:
        return False, f"web: no answer on port {port}: {error}"
    finally:
        connection.close()


def _worker() -> tuple[bool, str]:
    """Whether a worker of this host answers."""
    if settings.CELERY_BROKER_URL == NO_BROKER:
        raise BadArguments("CELERY_BROKER_URL names no broker: there are no workers of their own to ask")
    host = socket.gethostname()
    try:
        answers = current_app.control.ping(timeout=TIMEOUT) or []
    except UNREACHABLE as error:
        return False, f"worker: the broker cannot be reached: {error}"
    here = sorted(name for answer in answers for name in answer if name.endswith(f"@{host}"))
    return bool(here), f"worker: {', '.join(here)} answered" if here else f"worker: none of {host} answers"


def _beat() -> tuple[bool, str]:
    """Whether beat has fired anything of late."""
    last = PeriodicTask.objects.filter(enabled=True, last_run_at__isnull=False).order_by("-last_run_at").first()
    if last is None or last.last_run_at is None:
        return False, "beat: has never fired anything"
    now = timezone.now()
    if clock.is_ahead(last.last_run_at, now):
        when = f"beat: {last.name!r} was fired at {last.last_run_at:%Y-%m-%d %H:%M} UTC, which is to come"
        return False, f"{when}: the clock was ahead and was set back; `python manage.py recover_runs` mends it"
    seconds = int((now - last.last_run_at).total_seconds())
    return clock.is_sign_of_life(last.last_run_at, now, SILENCE), f"beat: fired {last.name!r} {seconds} s ago"
