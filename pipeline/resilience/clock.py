"""A clock that was ahead and is set back: heartbeats from the future do not count, and captures known then are mended."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from pipeline.models import Capture, Partition

logger = logging.getLogger(__name__)

SKEW = timedelta(minutes=3)  # the clocks of a fleet may differ so much


def is_ahead(moment: datetime, now: datetime) -> bool:
    """Whether a stored moment lies further in the future than clocks may differ."""
    return moment - now > SKEW


def is_sign_of_life(seen: datetime, now: datetime, within: timedelta) -> bool:
    """Whether a sign of life is recent. One from the future does not count: its clock has been set back since."""
    return now - seen <= within and not is_ahead(seen, now)


def known_in_the_future(now: datetime | None = None) -> list[Capture]:
    """The captures whose rows become known only in the future, in the order of their versions."""
    ahead = Capture.objects.filter(normalized_at__gt=(now or timezone.now()) + SKEW)
    return list(ahead.select_related("partition").order_by("partition_id", "version"))


def mend_captures() -> list[Capture]:
    """Make such captures known from now on; return them.

    As-of questions find them then. No earlier answer changes, since a future instant is refused. Versions keep their order.
    """
    return [capture for capture in known_in_the_future() if _mend(capture)]


def _mend(capture: Capture) -> bool:
    with transaction.atomic():
        Partition.objects.locked(capture.partition.key)
        capture.refresh_from_db()
        now = timezone.now()
        if capture.normalized_at is None or not is_ahead(capture.normalized_at, now):
            return False
        before = Capture.objects.filter(partition=capture.partition_id, version__lt=capture.version)
        earlier = before.aggregate(newest=Max("normalized_at"))["newest"]
        known = max(now, earlier + timedelta(microseconds=1)) if earlier else now
        Capture.objects.filter(pk=capture.pk).update(normalized_at=known)
    logger.warning(
        "%s was to be known from %s on, the clock was ahead: it is known now", capture, capture.normalized_at
    )
    return True
