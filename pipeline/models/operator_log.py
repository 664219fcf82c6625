"""The operator log: each act of a person in the admin or by a command, its subjects, reason and outcome. It only grows."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from pipeline.models.run import Run


class Act(models.TextChoices):
    """The acts of operators."""

    REINGEST = "REINGEST", "re-ingest"
    FORCE_REINGEST = "FORCE_REINGEST", "force re-ingest"
    RENORMALIZE = "RENORMALIZE", "re-normalize from the archive"
    RECOMPUTE = "RECOMPUTE", "recompute analytics"
    REEVALUATE = "REEVALUATE", "re-evaluate readiness"
    RETRY_FAILED = "RETRY_FAILED", "retry failed partitions"
    RESUME_RUN = "RESUME_RUN", "resume run"
    CANCEL_RUN = "CANCEL_RUN", "cancel run"
    RUN = "RUN", "run the weekly job"
    BACKFILL = "BACKFILL", "backfill"
    INGEST_FILE = "INGEST_FILE", "ingest a file by hand"
    PROBE = "PROBE", "probe for restatements"
    RECOVER_RUNS = "RECOVER_RUNS", "recover stalled runs"
    CHECK_ARCHIVE = "CHECK_ARCHIVE", "check the archive"
    REBUILD_VINTAGES = "REBUILD_VINTAGES", "rebuild vintage files"
    RESTORE = "RESTORE", "restore captures from the archive"
    PRUNE_PLAN = "PRUNE_PLAN", "plan the pruning of captures"
    PRUNE_MARK = "PRUNE_MARK", "mark captures for removal"
    PRUNE_UNDO = "PRUNE_UNDO", "undo the pruning of captures"
    PRUNE_REMOVE = "PRUNE_REMOVE", "remove what was pruned"
    BACKUP = "BACKUP", "make a backup"
    BACKUP_RECORD = "BACKUP_RECORD", "record a backup made by other means"
    BACKUP_DRILL = "BACKUP_DRILL", "drill a restoration"
    RESTORE_BACKUP = "RESTORE_BACKUP", "restore a backup"
    RESTORE_FINISH = "RESTORE_FINISH", "finish a restoration"
    RUN_NOW = "RUN_NOW", "run a schedule now"
    RESOLVE = "RESOLVE", "resolve anomaly"
    REOPEN = "REOPEN", "reopen anomaly"
    PIN = "PIN", "pin capture"
    UNPIN = "UNPIN", "unpin capture"
    ANNUL = "ANNUL", "annul capture"
    SILENCE = "SILENCE", "silence notices"
    END_SILENCE = "END_SILENCE", "end silence"
    TEST_CHANNEL = "TEST_CHANNEL", "test channel"
    RESEND = "RESEND", "send again"
    ADD = "ADD", "add"
    CHANGE = "CHANGE", "change"
    DELETE = "DELETE", "delete"


class ActOutcome(models.TextChoices):
    """The outcome of an act."""

    STARTED = "STARTED", "a run was started"
    DONE = "DONE", "done at once"
    REFUSED = "REFUSED", "refused: nothing was done"


class OperatorLogEntry(models.Model):
    """One act of one person: `operator` is the person's name at the time, `account` the number, which stays the same.

    `token` is that of the form that was sent: sent twice, it acts once. `sentence` says what was started, what was passed
    over and why, or why the act was refused; of a changed form, the old and the new values.
    Triggers on both databases refuse to change or remove an entry.
    """

    at = models.DateTimeField()
    operator = models.CharField(max_length=150)
    account = models.BigIntegerField(null=True)  # no foreign key: the entry outlives the account
    act = models.CharField(max_length=20, choices=Act.choices)
    reason = models.TextField(blank=True)
    outcome = models.CharField(max_length=7, choices=ActOutcome.choices)
    sentence = models.TextField()
    run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="log_entries")
    token = models.CharField(max_length=36, null=True, unique=True)  # nulls are not equal, "" would be

    class Meta:
        ordering = ("-pk",)
        verbose_name_plural = "operator log"
        constraints = (
            models.CheckConstraint(condition=Q(act__in=Act.values), name="log_act_known"),
            models.CheckConstraint(condition=Q(outcome__in=ActOutcome.values), name="log_outcome_known"),
            models.CheckConstraint(
                condition=~Q(outcome=ActOutcome.STARTED) | Q(run__isnull=False), name="log_started_names_the_run"
            ),
        )

    def __str__(self) -> str:
        return f"{self.operator}: {self.get_act_display()}"


class OperatorLogSubject(models.Model):
    """A subject of an act: a row of the ledger, by its kind and key, with the name it had."""

    entry = models.ForeignKey(OperatorLogEntry, on_delete=models.PROTECT, related_name="subjects")
    kind = models.CharField(max_length=20)
    key = models.CharField(max_length=40)
    label = models.CharField(max_length=200)

    class Meta:
        ordering = ("pk",)
        indexes = (models.Index(fields=("kind", "key"), name="log_subject_by_what_it_is"),)

    def __str__(self) -> str:
        return self.label
