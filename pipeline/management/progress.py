"""The progress of a run on the command line: a line for each partition, in the order of the plan, and a bar."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from pipeline.finra.plain_text import printable
from pipeline.management import terminal
from pipeline.management.base import SpineCommand
from pipeline.models import Action, Outcome, Run, RunPartition
from pipeline.runs import in_process

HINT_SECONDS = 20
MADE = (Outcome.INGESTED, Outcome.RESTATED)


@contextmanager
def progress_of(run: Run, command: SpineCommand) -> Iterator[in_process.Progress]:
    """Show each finished partition: a line, and on a terminal a bar below the lines."""
    if not command.on_terminal:
        with _in_order(run, lambda step: command.line(_outcome_line(step))) as progress:
            yield progress
        return
    with progress_bar(sys.stderr) as bar:
        task = bar.add_task("Partitions", total=run.partitions.count())
        with _in_order(run, lambda step: bar.console.print(_outcome_line(step))) as progress:
            yield _advancing(bar, task, progress)


def progress_bar(file: IO[str]) -> Progress:
    """A bar in the room that the partition, its outcome and the figures leave."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(table_column=Column(min_width=len("1000/1000"))),
        TimeElapsedColumn(table_column=Column(min_width=len("0:00:00"))),
    )
    return Progress(*columns, console=terminal.console(file), transient=True)


def _advancing(bar: Progress, task: TaskID, progress: in_process.Progress) -> in_process.Progress:
    def advance(step: RunPartition) -> None:
        bar.update(task, advance=1, description=f"{step.partition} {step.outcome}")
        progress(step)

    return advance


@contextmanager
def _in_order(run: Run, tell: Callable[[RunPartition], None]) -> Iterator[in_process.Progress]:
    progress = InOrder(run, tell)
    try:
        yield progress
    finally:
        progress.finish()


def _outcome_line(step: RunPartition) -> str:
    made = f"; {step.capture}" if step.capture and step.outcome in MADE else ""
    return printable(f"{step.partition.week_ending} {step.partition.tier:<10}  {step.outcome:<11}  {step.reason}{made}")


class InOrder:
    """Passes finished partitions on in the order of the plan, newest week first, whichever finishes first.

    Those that are not yet due are left to the summary.
    """

    def __init__(self, run: Run, tell: Callable[[RunPartition], None]) -> None:
        working = run.partitions.exclude(action=Action.NOT_YET_DUE).order_by("pk")
        self._expected = deque(working.values_list("pk", flat=True))
        self._held_back: dict[int, RunPartition] = {}
        self._tell = tell

    def __call__(self, step: RunPartition) -> None:
        """Take a finished partition; pass it on once all before it are."""
        if step.action != Action.NOT_YET_DUE:
            self._held_back[step.pk] = step
        while self._expected and self._expected[0] in self._held_back:
            self._tell(self._held_back.pop(self._expected.popleft()))

    def finish(self) -> None:
        """Pass on the rest, although partitions before them were not finished."""
        for step in sorted(self._held_back.values(), key=lambda step: step.pk):
            self._tell(step)
        self._held_back.clear()


class Hint:
    """Warns once, when no partition has started for long, that a worker may be missing."""

    def __init__(self, run: Run, warn: Callable[[str], None]) -> None:
        self._run, self._warn = run, warn
        self._since: float | None = time.monotonic()

    def __call__(self) -> None:
        if self._since is None or time.monotonic() - self._since < HINT_SECONDS:
            return
        self._since = None
        if not self._run.partitions.filter(attempts__gt=0).exists():
            self._warn(f"Nothing has started for {HINT_SECONDS} s. Is a worker there? `celery -A marketspine worker`")
