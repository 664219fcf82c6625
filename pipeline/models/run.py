"""The run: one execution of a plan; its partitions and weeks are the ledger that says what is left to do."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from pipeline.models.capture import Capture
from pipeline.models.event import Event, Occurrence
from pipeline.models.partition import Partition
from pipeline.models.severity import Severity


class RunStatus(models.TextChoices):
    """Where a run stands. `pipeline.runs.lifecycle` has the allowed moves."""

    RUNNING = "RUNNING", "under way"
    SUCCEEDED = "SUCCEEDED", "every due partition is good"
    FAILED = "FAILED", "finished, with failures"
    INTERRUPTED = "INTERRUPTED", "stopped before its end; can be resumed"
    CANCELLED = "CANCELLED", "cancelled by an operator"


class Trigger(models.TextChoices):
    """The trigger of a run."""

    CLI = "CLI", "command line"
    BEAT = "BEAT", "schedule"
    ADMIN = "ADMIN", "admin"


class Action(models.TextChoices):
    """The planned work on a partition."""

    INGEST = "INGEST", "fetch, decide, archive, store"
    ARCHIVE = "ARCHIVE", "fetch, decide, archive; rows are stored later"
    NORMALIZE = "NORMALIZE", "read the archived payloads again"
    PROBE = "PROBE", "ask whether it moved; fetch it if it did"
    NONE = "NONE", "nothing: only the week is calculated"
    SKIP = "SKIP", "nothing: another run has it in flight"
    NOT_YET_DUE = "NOT_YET_DUE", "nothing: FINRA has not published it"


FETCHING = (Action.INGEST, Action.ARCHIVE, Action.PROBE)  # those that ask a source


class PartitionStatus(models.TextChoices):
    """Where one partition of a run stands."""

    PENDING = "PENDING", "not started"
    RUNNING = "RUNNING", "under way"
    DONE = "DONE", "done; see the outcome"


class Outcome(models.TextChoices):
    """The result of one partition in a run."""

    INGESTED = "INGESTED", "first capture"
    RESTATED = "RESTATED", "new vintage"
    FORCED = "FORCED", "captured again because an operator said so, the same content"
    UNCHANGED = "UNCHANGED", "the same content as captured"
    NOT_OFFERED = "NOT_OFFERED", "held, and not in the source any more"
    REFUSED = "REFUSED", "cannot be what FINRA published for the week"
    NOT_YET_DUE = "NOT_YET_DUE", "not published yet"
    LATE = "LATE", "due, and not there"
    FAILED = "FAILED", "could not be captured"
    CANCELLED = "CANCELLED", "cancelled before it started"


BAD_OUTCOMES = (Outcome.REFUSED, Outcome.LATE, Outcome.FAILED)


class Calculation(models.TextChoices):
    """The result of a week's calculation in a run."""

    COMPUTED = "COMPUTED", "computed from the newest captures"
    UNCHANGED = "UNCHANGED", "computed from the same captures already"
    SKIPPED = "SKIPPED", "nothing to compute from, or not asked for"
    FAILED = "FAILED", "could not be computed"


class RunQuerySet(models.QuerySet["Run"]):
    """Runs by where they stand."""

    def under_way(self) -> RunQuerySet:
        """Those that have begun and not ended."""
        return self.filter(status=RunStatus.RUNNING)

    def of_queue(self) -> RunQuerySet:
        """Those that belong to the queue: any worker may go on with them, and no process's end ends them."""
        return self.filter(worker="")


class Run(models.Model):
    """One execution of a plan over partitions, from the command line, beat or the admin.

    `parameters` are those the plan was made from; `run_date` is its "today" in America/New_York. `worker` names the
    process that executes the run, and whose end interrupts it; empty where the run belongs to the queue. A run that a
    schedule started has the schedule's name and its slot: there is one run for each slot.
    """

    trigger = models.CharField(max_length=5, choices=Trigger.choices)
    command = models.CharField(max_length=30)
    parameters = models.JSONField()
    parameters_hash = models.CharField(max_length=64)
    requested_by = models.CharField(max_length=150, blank=True)
    reason = models.TextField(blank=True)
    run_date = models.DateField()
    status = models.CharField(max_length=11, choices=RunStatus.choices, default=RunStatus.RUNNING)
    worker = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    schedule = models.CharField(max_length=200, blank=True)
    slot = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    cancelled_by = models.CharField(max_length=150, blank=True)
    cancel_reason = models.TextField(blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        permissions = (
            ("can_run", "Can start runs: re-ingest, re-normalize, recompute, retry, backfill, run a schedule now"),
            ("can_force", "Can force a re-ingest, which overrules revision detection"),
            ("can_cancel", "Can cancel a run"),
        )
        constraints = (
            models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="run_status_known"),
            models.CheckConstraint(condition=Q(trigger__in=Trigger.values), name="run_trigger_known"),
            models.CheckConstraint(
                condition=Q(status=RunStatus.RUNNING, finished_at__isnull=True)
                | ~Q(status=RunStatus.RUNNING) & Q(finished_at__isnull=False),
                name="run_finished_when_it_ended",
            ),
            models.UniqueConstraint("schedule", "slot", name="run_slot_once"),
            models.CheckConstraint(
                condition=Q(schedule="", slot__isnull=True) | ~Q(schedule="") & Q(slot__isnull=False),
                name="run_slot_of_a_schedule",
            ),
        )

    def __str__(self) -> str:
        return f"run {self.pk} ({self.command}, {self.status})"

    @property
    def kind(self) -> str:
        """The runs that it is one of: those of its schedule, or of its command."""
        return self.schedule or self.command

    def failure(self, how: str) -> Occurrence:
        """The occurrence of its failure. People are told once, until a run of its kind succeeds."""
        return Occurrence(
            event=Event.RUN_FAILED,
            place=self.kind,
            severity=Severity.ERROR,
            what=f"run {self.pk} of {self.run_date}: {how}",
            advice="`python manage.py doctor` names what is wrong, and the command that repairs it.",
            run=self,
        )


class RunPartition(models.Model):
    """One partition of a run: the planned action and its result. Claimed by one conditional UPDATE.

    `queued_at`: when the plan was written; `sent_at`: when it was last sent to the workers, `sendings` times so far;
    `retry_at`: when a try that a passing error ended is to be repeated; `stop_ordered_at`: when its worker was told to stop,
    after which a try that is cut short does not count.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="partitions")
    partition = models.ForeignKey(Partition, on_delete=models.PROTECT, related_name="run_partitions")
    action = models.CharField(max_length=11, choices=Action.choices)
    plan_reason = models.TextField()
    status = models.CharField(max_length=7, choices=PartitionStatus.choices, default=PartitionStatus.PENDING)
    outcome = models.CharField(max_length=11, choices=Outcome.choices, blank=True)
    reason = models.TextField(blank=True)
    capture = models.ForeignKey(Capture, null=True, on_delete=models.PROTECT, related_name="run_partitions")
    attempts = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=120, blank=True)
    queued_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    sendings = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    stop_ordered_at = models.DateTimeField(null=True)
    fetched_at = models.DateTimeField(null=True)
    parsed_at = models.DateTimeField(null=True)
    stored_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("run", "-partition__week_ending", "partition__tier")
        constraints = (
            models.UniqueConstraint("run", "partition", name="run_partition_once"),
            models.UniqueConstraint(
                fields=("partition",), condition=Q(status=PartitionStatus.RUNNING), name="run_partition_one_at_a_time"
            ),
            models.CheckConstraint(condition=Q(status__in=PartitionStatus.values), name="run_partition_status_known"),
            models.CheckConstraint(condition=Q(action__in=Action.values), name="run_partition_action_known"),
            models.CheckConstraint(
                condition=Q(status=PartitionStatus.DONE, outcome__in=Outcome.values)
                | ~Q(status=PartitionStatus.DONE) & Q(outcome=""),
                name="run_partition_outcome_when_done",
            ),
        )

    def __str__(self) -> str:
        return f"{self.partition} in run {self.run_id}: {self.outcome or self.status}"


class RunWeek(models.Model):
    """A week of a run: closed once, when its partitions are done and its analytics and readiness are decided."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="weeks")
    week_ending = models.DateField()
    closed_at = models.DateTimeField(null=True)
    calculation = models.CharField(max_length=10, choices=Calculation.choices, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ("run", "-week_ending")
        constraints = (
            models.UniqueConstraint("run", "week_ending", name="run_week_once"),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, calculation="")
                | Q(closed_at__isnull=False, calculation__in=Calculation.values),
                name="run_week_calculation_when_closed",
            ),
        )

    def __str__(self) -> str:
        return f"week {self.week_ending} of run {self.run_id}"


class WorkerSign(models.Model):
    """The last sign of life of the workers on a machine: each of their sweeps leaves one, every minute."""

    machine = models.CharField(max_length=120, unique=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.machine
