"""Beat on the schedules' rows: django-celery-beat's scheduler, with care for clocks set back and for one-offs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from marketspine import alive
from pipeline import task_names
from pipeline.engine import schedules
from pipeline.resilience import clock


class Entry(ModelEntry):  # type: ignore[misc] # beat has no types
    """A row of the schedules. Its last run in the future was written by a clock that was ahead."""

    last_run_at: datetime

    def is_due(self) -> Any:
        """As the base decides, but a one-off that starts runs stays on until `schedules` has started its run."""
        now: datetime = self._default_now()
        if clock.is_ahead(self.last_run_at, now):
            self.last_run_at = self.model.last_run_at = now
        if self.model.one_off and self.model.task == task_names.START_SCHEDULED:
            self.model.total_run_count = 0
        return super().is_due()


class Scheduler(DatabaseScheduler):  # type: ignore[misc] # beat has no types
    """The rows, read again when they change, and when the clock is set back."""

    Entry = Entry
    _looked_at = datetime.min.replace(tzinfo=UTC)

    def setup_schedule(self) -> None:
        """Mend the rows that wait for a clock that was ahead, then begin."""
        schedules.mend()
        super().setup_schedule()

    def tick(self, *args: Any, **more: Any) -> Any:
        """Touch the alive file, then tick: the file of a beat that hangs in the database grows old."""
        alive.touch("beat")
        return super().tick(*args, **more)

    def schedule_changed(self) -> bool:
        """Whether the rows are to be read again."""
        now = timezone.now()
        set_back = clock.is_ahead(self._looked_at, now)
        if set_back:
            schedules.mend()
        self._looked_at = now
        return bool(super().schedule_changed()) or set_back
