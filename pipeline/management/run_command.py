"""Commands that bring a run to its end: in this process or at the workers, with progress, then the summary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import Error

from pipeline.engine import driver, sweeper, waiting
from pipeline.engine.embedded import NO_BROKER
from pipeline.management.base import BadArguments, SpineCommand, failed_if
from pipeline.management.progress import Hint, progress_of
from pipeline.management.run_summary import print_next, print_summary
from pipeline.models import DeliveryState, Run
from pipeline.notices import sending
from pipeline.resilience import failures
from pipeline.resilience.connections import patiently
from pipeline.resilience.failures import database_sentence
from pipeline.runs.summary import FAILURES, Summary, summarize


class RunCommand(SpineCommand):
    """A command that works on a run, or waits for the workers that do."""

    def add_engine_arguments(self, parser: CommandParser) -> None:
        """Add the arguments of the engine."""
        parser.add_argument("--queue", action="store_true", help="send it to the workers, and wait for them")
        parser.add_argument("--no-wait", action="store_true", help="with --queue: print the run's number and end")

    def goes_to_workers(self, *, queue: bool, no_wait: bool) -> bool:
        """Whether the workers are asked; BadArguments where they cannot be."""
        if no_wait and not queue:
            raise BadArguments("--no-wait goes with --queue: without, the work is done in this process")
        if queue and settings.CELERY_BROKER_URL == NO_BROKER:
            raise BadArguments("--queue sends to workers, and CELERY_BROKER_URL names no broker; drop it to run here")
        return queue

    def recover(self, worker: str = "") -> None:
        """Sweep, and tell which runs have died."""
        for dead in sweeper.sweep(worker).interrupted:
            self.line(f"Run {dead} died before its end; its unfinished work is requeued.")

    def work_off(self, run: Run, worker: str) -> int:
        """Execute a run in this process. Told to stop, it finishes partitions under way, and the run can be resumed."""
        with self.failures_of_the_machine(run), progress_of(run, self) as progress:
            driver.run_embedded(run, worker, progress, self.warn)
        return self.report_and_tell(run)

    def follow(self, run: Run, *, wait: bool) -> int:
        """Wait for the workers to end a run, or say only whether it is sent."""
        unsent = not run.partitions.filter(sent_at__isnull=False).exists()
        if unsent:
            self.warn(f"The broker cannot be reached. Run {run.pk} is in the ledger, and is sent when it can be.")
        if not wait:
            return self._report_sent(run, unsent)
        try:
            with progress_of(run, self) as progress:
                waiting.wait(run, progress, idle=Hint(run, self.warn), tell=self.warn)
        except KeyboardInterrupt:
            stop = f"`python manage.py cancel_run {run.pk}` stops it, the same command waits for it again"
            self.refuse(f"stopped waiting; run {run.pk} goes on at the workers: {stop}", FAILURES)
        except Error as error:
            goes_on = f"run {run.pk} goes on at the workers when it is back, the same command waits for it again"
            self.refuse(f"the database has been away for too long: {str(error).strip()}; {goes_on}")
        return self._report(run)

    @contextmanager
    def failures_of_the_machine(self, run: Run) -> Iterator[None]:
        """End the command with a sentence, after a full disk say. The run has begun, and the same command resumes it."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            self.refuse(f"run {run.pk} stopped: {failures.sentence_of(error)}", FAILURES)

    def report_and_tell(self, run: Run) -> int:
        """Report, and send the run's notices: where cron starts the commands, no sweep would send them."""
        code = self._report(run)
        try:
            untold = [sent for sent in sending.send_all() if sent.state != DeliveryState.SENT]
        except Error as error:
            self.warn(f"Nobody is told of it yet: {database_sentence(error)}")
            return code
        for channel, told in dict.fromkeys((sent.channel, sent.told) for sent in untold):
            self.warn(f"The channel {channel} did not take what it is to be told: {told}")
        return code

    def _report(self, run: Run) -> int:
        summary = patiently(partial(_summary_of, run))
        self.mark()
        if self.as_json:
            self.document(summary.as_json())
        else:
            print_summary(self, summary)
            print_next(self, run, summary)
        return summary.exit_code

    def _report_sent(self, run: Run, unsent: bool) -> int:
        if self.as_json:
            self.document({"run": run.pk, "status": run.status, "sent": not unsent})
        self.line(f"Run {run.pk}: {run.partitions.count()} partitions, {'not sent yet' if unsent else 'sent'}.")
        return failed_if(unsent)


def _summary_of(run: Run) -> Summary:
    run.refresh_from_db()
    return summarize(run)
