"""gunicorn's log in the product's form: a line for each request without its query string, but none for good probes."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from marketspine import logs
from marketspine.startup import GUNICORN_GIVES_UP, require_readable_settings

UNTOLD = frozenset({"/livez", "/readyz", "/metrics"})  # asked every few seconds
WELL = 400


class WebLogger(Logger):  # type: ignore[misc] # gunicorn has no types
    """`gunicorn --logger-class marketspine.web_log.WebLogger`."""

    def setup(self, cfg: Any) -> None:
        """Set up gunicorn's log, in our form."""
        require_readable_settings(GUNICORN_GIVES_UP)
        super().setup(cfg)
        logs.bind_process(process="web")
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                handler.setFormatter(logs.formatter())

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Log one request and its answer."""
        status = int(str(resp.status).split(None, 1)[0])
        path = environ.get("PATH_INFO", "")
        if not self.access_log_enabled or (path in UNTOLD and status < WELL):
            return
        method, duration = environ.get("REQUEST_METHOD", ""), round(request_time / timedelta(milliseconds=1))
        self.access_log.log(
            logging.INFO,
            "%s %s %s in %s ms",
            method,
            path,
            status,
            duration,
            extra={
                "event": "request_answered",
                "http_method": method,
                "http_path": path,
                "http_status": status,
                "duration_ms": duration,
                "bytes": resp.sent or 0,
                "client": environ.get("REMOTE_ADDR", ""),
            },
        )
