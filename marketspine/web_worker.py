"""gunicorn's threaded worker, except that a thread takes a request only once it is complete: a slow client delays no other.

In gunicorn's own, a thread waits without limit for the rest of a request: as many slow connections as threads keep
everybody else out.
"""

from __future__ import annotations

import selectors
import time
from functools import partial
from typing import Any

from django.conf import settings
from gunicorn.errors import HaltServer  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from marketspine import cores
from marketspine.connections import TimedSocket, is_whole
from marketspine.startup import GUNICORN_GIVES_UP


class WebWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """Empty connections are gunicorn's pending ones; those with a part of a request are looked at again and again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Refuse a parent that has used polars: it calls this before it forks the worker."""
        super().__init__(*args, **kwargs)
        if cores.polars_was_used():
            raise HaltServer(cores.REFUSED, GUNICORN_GIVES_UP)
        self.arriving: list[Any] = []

    def load_wsgi(self) -> None:
        """Load the product, and divide the cores among its processes: its settings are readable now."""
        super().load_wsgi()
        cores.share(settings.MARKETSPINE_CORES, self.cfg.workers)

    def enqueue_req(self, conn: Any) -> None:
        """Take a connection that was accepted, or on which bytes have come."""
        if not isinstance(conn.sock, TimedSocket):
            conn.sock = TimedSocket.of(conn.sock)
        conn.sock.begin()
        self._place(conn)

    def murder_pending(self) -> None:
        """Look at the incomplete requests again, after gunicorn's own work: called at least once a second."""
        super().murder_pending()
        arriving, self.arriving = self.arriving, []
        for conn in arriving:
            self._place(conn)

    def _place(self, conn: Any) -> None:
        """Put the connection where it belongs, by the bytes that have arrived on it."""
        try:
            arrived = conn.sock.waiting()
        except OSError:
            arrived = b""
        if _has_read_ahead(conn) or (arrived is not None and is_whole(arrived)):
            conn.data_ready = True
            super().enqueue_req(conn)
        elif conn.sock.is_late:
            self.nr_conns -= 1
            conn.close()
        elif arrived is None:
            self._wait_for_data(conn)
        else:
            self.arriving.append(conn)

    def _wait_for_data(self, conn: Any) -> None:
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))


def _has_read_ahead(conn: Any) -> bool:
    """Whether the next request, or its beginning, was read with the last."""
    return conn.parser is not None and bool(conn.parser.unreader.buf.getvalue())
