"""`manage.py metrics`: what Prometheus is told, on stdout, in a file, or on a port."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from pipeline.engine import serving
from pipeline.management.base import BadArguments, SpineCommand, failed_if
from pipeline.management.output_paths import file_to_write
from pipeline.metrics import exposition, listener

HIGHEST_PORT = 65535
LEDGER_IS_UP = b"\nmarketspine_ledger_up 1.0\n"


class Command(SpineCommand):
    """Tell the metrics of the ledger."""

    help = (
        "Print what Prometheus is told; leave it in a file for node_exporter; or answer scrapes on a port until told to "
        "stop. Exit code: 0 told, 1 the ledger cannot be read, 2 could not run."
    )
    examples = (
        ("metrics", "once, to look at"),
        ("metrics --textfile /var/lib/node_exporter/marketspine.prom", "for node_exporter, by cron"),
    )
    needs_database = False  # that it cannot be read is told, too

    def add_own_arguments(self, parser: CommandParser) -> None:
        """Where to."""
        where = parser.add_mutually_exclusive_group()
        where.add_argument(
            "--listen", metavar="HOST:PORT", help="answer /metrics and /livez there; ':9464' is every address"
        )
        where.add_argument(
            "--textfile",
            metavar="PATH",
            help="leave it in this file, a .prom in node_exporter's folder; it is whole always",
        )

    def work(self, **options: Any) -> int:
        """One of the three."""
        if options["listen"]:
            return self._listen(*_address(options["listen"]))
        if options["textfile"]:
            exposition.write(_file(options["textfile"]))
        text = exposition.text()
        if not options["textfile"]:
            self.stdout.write(text.decode(), ending="")
        return failed_if(LEDGER_IS_UP not in text)

    def _listen(self, host: str, port: int) -> int:
        try:
            server = serving.listen(host, port, listener.application())
        except OSError as error:
            raise BadArguments(
                f"port {port} of {host} cannot be had: {error.strerror}; name another: --listen"
            ) from None
        with serving.web(server):
            self.line(f"Metrics are at http://{host}:{server.server_port}/metrics. Ctrl-C stops it.")
            try:
                threading.Event().wait()
            except KeyboardInterrupt:  # SIGTERM, too
                return 0
        return 0


def _address(text: str) -> tuple[str, int]:
    """HOST:PORT, of which HOST may be empty: every address."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) <= HIGHEST_PORT):
        raise BadArguments(f"--listen {text}: write HOST:PORT, such as 127.0.0.1:9464 or :9464")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 # asked for


def _file(text: str) -> Path:
    path = file_to_write("--textfile", text)
    if path.suffix != ".prom":
        raise BadArguments(f"--textfile {text}: node_exporter reads files whose names end in .prom only")
    return path
