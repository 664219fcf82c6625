"""`manage.py serve`: the whole product in one process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from celery import current_app
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.handlers.wsgi import WSGIHandler
from django.core.management.base import CommandParser
from django.core.servers.basehttp import ThreadedWSGIServer
from django.db import connection, transaction

from pipeline import operations, task_names
from pipeline.engine import driver, embedded, serving
from pipeline.engine.embedded import NO_BROKER
from pipeline.engine.sweeper import SWEEP_SECONDS
from pipeline.loopback import is_loopback
from pipeline.management.base import BadArguments, SpineCommand, operator
from pipeline.models import Act, data_kinds
from pipeline.operations import Order
from pipeline.resilience import stopping

HIGHEST_PORT = 65535
DEMO = "demo"
DEMO_ADDRESS = "demo@localhost"  # marks the account that --demo made


class Command(SpineCommand):
    """Run the web, a worker and beat in this process, until told to stop."""

    help = (
        "Run the whole product in one process, on one port: the admin, a worker and beat. SIGTERM or Ctrl-C finishes "
        "what is under way and ends; a second Ctrl-C ends at once. Exit code: 0 told to stop, 2 could not run."
    )
    examples = (
        ("serve", "on http://127.0.0.1:8000"),
        ("serve --host 0.0.0.0 --port 8080", "for others, too; set ALLOWED_HOSTS"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """Where to listen, and whether to follow the schedules."""
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="0 takes any free one (default: %(default)s)")
        parser.add_argument(
            "--demo",
            action="store_true",
            help="make an administrator `demo` with a new password, and print it; loopback only",
        )
        parser.add_argument("--no-beat", action="store_true", help="start no scheduled runs: web and worker only")

    def work(self, **options: Any) -> int:
        """Look whether it can be, start all parts, wait to be told, stop them in the other order."""
        host = options["host"]
        _refuse_broker()
        data_kinds.refuse_mixture(settings.MARKETSPINE_SOURCE)
        _refuse_exposure(host, demo=options["demo"])
        with _only_demo() if options["demo"] else nullcontext():
            return self._serve(host, options)

    def _serve(self, host: str, options: dict[str, Any]) -> int:
        with_beat = not options["no_beat"]
        server = _listen(host, options["port"])
        asked = _asked_to_stop()
        with serving.web(server), embedded.engine(), serving.beat() if with_beat else nullcontext():
            driver.resume_queue()
            if with_beat:
                current_app.send_task(task_names.START_SCHEDULED)
            url = f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/"
            self._tell(url, with_beat, _demo_password() if options["demo"] else "")
            connection.close()
            _recover_until(asked)
            self.line("Stopping: what is under way is finished first. Ctrl-C ends at once.")
        self.line("Stopped. The next start resumes what is not done yet.")
        return 0

    def _tell(self, url: str, with_beat: bool, demo_password: str) -> None:
        """Where it is, what runs, and how to get in."""
        threads = settings.MARKETSPINE_THREADS
        users = get_user_model().objects.filter(is_superuser=True, is_active=True).exists()
        if self.as_json:
            document = {"url": url, "worker_threads": threads, "beat": with_beat, "superuser": users}
            self.document({**document, "demo_password": demo_password} if demo_password else document)
        self.line(f"Market Spine is at {url}")
        beat = "beat" if with_beat else "no beat"
        self.line(f"Running: web, a worker with {threads} thread{'s' if threads > 1 else ''}, {beat}. Ctrl-C stops it.")
        if demo_password:
            self.line(f"Sign in as {DEMO} with the password {demo_password} (a new one with each start).")
        elif not users:
            self.line("Nobody can sign in yet. Create the first user: python manage.py createsuperuser")


def _recover_until(asked: SimpleQueue[int]) -> None:
    """Wait to be told to stop; meanwhile have the worker sweep, as each worker of a fleet does."""
    while True:
        try:
            asked.get(timeout=SWEEP_SECONDS)
        except Empty:
            current_app.send_task(task_names.RECOVER)
        else:
            return


def _refuse_broker() -> None:
    if settings.CELERY_BROKER_URL != NO_BROKER:
        raise BadArguments(
            "CELERY_BROKER_URL names a broker: web, workers and beat are then processes of their own "
            "(docs/containers.md); unset it to have all of them in this one"
        )


@contextmanager
def _only_demo() -> Iterator[None]:
    """BadArguments while another `serve --demo` of this machine has the ledger: its password would end to be right.

    The lock of a file ends with its process, however that ends.
    """
    database = connection.settings_dict
    ledger = hashlib.sha256(f"{database['HOST']}:{database['PORT']}/{database['NAME']}".encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"marketspine-demo-{os.getuid()}-{ledger}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BadArguments(
            "another `serve --demo` has this ledger, and a new password would lock out those who are signed in there: "
            "use its address and its password, or stop it first"
        ) from None
    finally:
        os.close(descriptor)


def _demo_password() -> str:
    """Make the administrator of a demonstration, or give the one that is there a new password; the password."""
    password = secrets.token_urlsafe(12)
    if get_user_model().objects.filter(username=DEMO).exclude(email=DEMO_ADDRESS).exists():
        raise BadArguments(f"there is a user {DEMO!r} whom --demo did not make: sign in as them, or rename them")
    with transaction.atomic():
        user, is_new = get_user_model().objects.update_or_create(
            username=DEMO,
            defaults={"email": DEMO_ADDRESS, "is_staff": True, "is_superuser": True, "is_active": True},
        )
        user.set_password(password)
        user.save()
        act, verb = (Act.ADD, "Added") if is_new else (Act.CHANGE, "Changed")
        by = Order(operator=operator())
        operations.write_down(act, by, [user], f"{verb} {DEMO}, an administrator, by serve --demo. Password: set")
    return password


def _refuse_exposure(host: str, *, demo: bool) -> None:
    """Refuse to serve other machines while anybody could sign in, or while errors show code and settings."""
    if is_loopback(host):
        return
    if demo:
        raise BadArguments(
            f"--host {host} lets others in, and --demo is for this machine alone: create a user of your own"
        )
    if settings.SECRET_KEY.startswith(settings.PLACEHOLDER_KEY):
        raise BadArguments(
            f"--host {host} lets others in, and SECRET_KEY is the placeholder that everybody knows: "
            "set SECRET_KEY or SECRET_KEY_FILE to 50 random characters or more"
        )
    if settings.DEBUG:
        raise BadArguments(f"--host {host} lets others in, and DEBUG shows them settings and code: unset DEBUG")


def _listen(host: str, port: int) -> ThreadedWSGIServer:
    if not 0 <= port <= HIGHEST_PORT:
        raise BadArguments(f"--port {port} is no port: 0 to {HIGHEST_PORT}")
    try:
        return serving.listen(host, port, WSGIHandler())
    except OSError as error:
        raise BadArguments(f"port {port} of {host} cannot be had: {error.strerror}; name another: --port") from None


def _asked_to_stop() -> SimpleQueue[int]:
    """Gets an item for each SIGTERM and the first Ctrl-C; the next Ctrl-C ends the process, as `kill -9` would.

    A signal's handler may put into a SimpleQueue whatever the main thread is in the middle of, and into no other.
    """
    asked: SimpleQueue[int] = SimpleQueue()

    def ask(number: int, _frame: object) -> None:
        stopping.order()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        asked.put(number)

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return asked
