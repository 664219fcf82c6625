"""The log: one formatter for the product, Celery and gunicorn; plain lines for a person, or JSON, one object a line.

Fields of the present work (run, partition, task ...) are bound to the context, and each line has them. A thread begins with
an empty context: `carried` takes the context there. No line holds a secret of the settings or a local variable.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from copy import copy
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from django.conf import settings

from pipeline import VERSION
from pipeline.finra.plain_text import printable, shortened

T = TypeVar("T")
PLAIN: str = "plain"
JSON: str = "json"
FORMATS: tuple[str, ...] = (PLAIN, JSON)
PLAIN_LINE = "%(asctime)s %(levelname)s %(name)s %(message)s"
MOST_BYTES = 16 * 1024  # container runtimes split longer lines
MOST_TEXT = 6_000  # characters of one field: the longest two of a line fit
MOST_FRAMES = 40
SHORTEST_SECRET = 6  # a shorter one may be a word of many lines
MASK = "***"

# The attributes of every LogRecord; any other was given as `extra`.
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_bound: ContextVar[Mapping[str, object]] = ContextVar("marketspine_log", default={})  # noqa: B039 # never changed in place
_of_process: dict[str, object] = {"process": "command"}


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add these fields to the lines that this thread writes during the block."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


@contextmanager
def bound_in_process(**fields: object) -> Iterator[None]:
    """Add these fields to the lines of all threads of this process during the block."""
    _of_process.update(fields)
    try:
        yield
    finally:
        for name in fields:
            _of_process.pop(name, None)


def bind_process(**fields: object) -> None:
    """Add these fields to every later line of this process, and of the children that it forks."""
    _of_process.update(fields)


def carried(work: Callable[..., T]) -> Callable[..., T]:
    """The function, for one call in another thread, whose lines then have the fields bound here."""
    return partial(copy_context().run, work)


def context() -> dict[str, object]:
    """The fields bound here."""
    return {**_of_process, **_bound.get()}


class Plain(logging.Formatter):
    """One line for each record: text from outside can forge no other line, and holds no commands for a terminal.

    A log has tracebacks. A person at a terminal gets the error instead, and the traceback with the level DEBUG (`-v 3`).
    """

    def __init__(self, line: str = PLAIN_LINE) -> None:
        super().__init__(line)

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it."""
        told = copy(record)
        told.msg, told.args = printable(record.getMessage()), None
        if told.exc_info and sys.stderr.isatty() and not logging.getLogger("pipeline").isEnabledFor(logging.DEBUG):
            told.msg += f" [{type(told.exc_info[1]).__name__}; MARKETSPINE_LOG_LEVEL=DEBUG shows the traceback]"
            told.exc_info = told.exc_text = None
        return masked(shortened(printable(super().format(told), keep="\n"), MOST_BYTES))


class Json(logging.Formatter):
    """One JSON object a line, of at most MOST_BYTES: time in UTC, level, logger, message, bound fields, error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; JSON escapes line ends and control characters."""
        fields = {**_heading(record), **context(), **_extra(record), **_failure(record.exc_info)}
        line = _encoded(fields)
        if len(line) > MOST_BYTES:
            line = _encoded(
                {**_heading(record), **context(), **_failure(record.exc_info), "cut": True}, most=MOST_TEXT // 4
            )
        return masked(line)


def say(message: str, *_stream: object) -> None:
    """Write a line that Celery prints in a signal's handler: by one system call, without a lock."""
    record = logging.LogRecord("celery.worker", logging.INFO, "", 0, "%s", (message.strip(),), None)
    os.write(2, f"{Json().format(record)}\n".encode())


def _heading(record: logging.LogRecord) -> dict[str, object]:
    at = datetime.fromtimestamp(record.created, UTC)
    return {
        "ts": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
        "service": "marketspine",
        "version": VERSION,
        "instance": socket.gethostname(),
        "pid": os.getpid(),
        "thread": record.threadName,
    }


def _extra(record: logging.LogRecord) -> dict[str, object]:
    """The plain values among the call's `extra`."""
    given = {name: value for name, value in vars(record).items() if name not in OWN}
    return {name: value for name, value in given.items() if isinstance(value, str | int | float | bool | None)}


def _failure(failed: Any) -> dict[str, object]:
    """The error with files, lines and functions of its traceback, never the values of variables."""
    if not failed or failed[1] is None:
        return {}
    error: BaseException = failed[1]
    return {"error_type": type(error).__name__, "error": str(error), "stack": _frames(failed[2])}


def _frames(raised: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(raised)[-MOST_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def _encoded(fields: Mapping[str, object], most: int = MOST_TEXT) -> str:
    """JSON in ASCII: a character is a byte, and line ends of Unicode are escaped."""
    return json.dumps({name: _short(value, most) for name, value in fields.items()}, default=str)


def _short(value: object, most: int) -> object:
    if isinstance(value, list):
        return value[-(most // 200) :]
    return shortened(value, most) if isinstance(value, str) else value


def maskable(secrets: Iterable[str]) -> tuple[str, ...]:
    """The secrets to hide in each line, the longest first, less the very short ones."""
    return tuple(sorted((secret for secret in secrets if len(secret) >= SHORTEST_SECRET), key=len, reverse=True))


def masked(text: str) -> str:
    """The text without the secrets of the settings."""
    for secret in settings.SECRETS:
        text = text.replace(secret, MASK)
    return text


def formatter() -> logging.Formatter:
    """The formatter that the settings ask for."""
    return Json() if settings.MARKETSPINE_LOG_FORMAT == JSON else Plain()


def configuration(level: str, form: str) -> dict[str, Any]:
    """Django's LOGGING: everything to stderr, in one form, without Celery's own lines on each task."""
    logging.captureWarnings(form == JSON)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {form: {"()": f"{__name__}.{(Json if form == JSON else Plain).__name__}"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "pipeline": {"level": level},
            "marketspine": {"level": level},
            "celery": {"level": level},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "django": {"handlers": [], "level": "ERROR"},
            "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        },
    }
