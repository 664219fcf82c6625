"""Beat looks and sends notices in place of the workers while none answers.

Workers tell that beat is silent, and beat tells that workers are. Only a watcher outside sees that both are gone.
"""

from __future__ import annotations

import logging
import threading

from django.db import connection

from pipeline.conditions import look
from pipeline.models import Event
from pipeline.notices import sending
from pipeline.review import alarms

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60.0


def begin() -> None:
    """Look each minute from a thread that ends with its process."""
    threading.Thread(target=_for_ever, name="stand-in", daemon=True).start()


def _for_ever() -> None:
    never = threading.Event()
    while not never.wait(EVERY_SECONDS):
        try:
            tell()
        except Exception:
            logger.exception("beat could not tell anybody that no worker answers; it tries again in a minute")
        finally:
            connection.close()


def tell() -> bool:
    """Look and send in the workers' place, if they are silent; whether they are."""
    is_silent = any(alarm.event is Event.WORKERS_SILENT for alarm in alarms.raised())
    if is_silent:
        look.look_in_turn()
        sending.send_all()
    return is_silent
