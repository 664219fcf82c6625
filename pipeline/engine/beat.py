"""Beat on the schedules' rows: django-celery-beat's scheduler, where clocks are set back and one-offs have one run."""

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
    """A row of the schedules. A time of it in the future was written by a clock that was ahead."""

    last_run_at: datetime

    def is_due(self) -> Any:
        """As the base has it, but that a one-off which starts runs is on until `schedules` has started its run."""
        now: datetime = self._default_now()
        if clock.is_ahead(self.last_run_at, now):
            self.last_run_at = self.model.last_run_at = now
        if self.model.one_off and self.model.task == task_names.START_SCHEDULED:
            self.model.total_run_count = 0
        return super().is_due()


class Scheduler(DatabaseScheduler):  # type: ignore[misc] # beat has no types
    """The rows, read again when they change, and when the clock was set back behind their last change."""

    Entry = Entry
    _looked_at = datetime.min.replace(tzinfo=UTC)

    def setup_schedule(self) -> None:
        """Begin with rows that wait for no clock."""
        schedules.mend()
        super().setup_schedule()

    def tick(self, *args: Any, **more: Any) -> Any:
        """As the base has it. A beat that hangs in the database goes round no more, and its alive file grows old."""
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
