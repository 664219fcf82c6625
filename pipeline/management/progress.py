"""The progress of a run on the command line: a line for each partition, in the order of the plan."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pipeline.models import Action, Run, RunPartition


class InOrder:
    """Tells of partitions in the order of the plan, newest week first, whatever is done first.

    Those that are not yet due are told of by the summary.
    """

    def __init__(self, run: Run, tell: Callable[[RunPartition], None]) -> None:
        working = run.partitions.exclude(action=Action.NOT_YET_DUE).order_by("pk")
        self._expected = deque(working.values_list("pk", flat=True))
        self._held_back: dict[int, RunPartition] = {}
        self._tell = tell

    def __call__(self, step: RunPartition) -> None:
        """Tell of a partition that is done, once all before it are."""
        if step.action != Action.NOT_YET_DUE:
            self._held_back[step.pk] = step
        while self._expected and self._expected[0] in self._held_back:
            self._tell(self._held_back.pop(self._expected.popleft()))

    def finish(self) -> None:
        """Tell of what was done, though something before it was not."""
        for step in sorted(self._held_back.values(), key=lambda step: step.pk):
            self._tell(step)
        self._held_back.clear()
