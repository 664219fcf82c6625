"""Backups that were made, the drills that restored them, and a database that came out of one."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models


class BackupManager(models.Manager["Backup"]):
    """Backups by age."""

    def newest(self) -> Backup | None:
        """The newest backup that lacks no file, made here or recorded by hand."""
        return self.filter(missing=0).order_by("-made_at").first()

    def age(self, now: datetime) -> timedelta | None:
        """The age of the newest backup's contents; None without a backup."""
        newest = self.newest()
        return now - newest.made_at if newest else None


class Backup(models.Model):
    """A backup that is complete.

    `made_at` is the instant at which the database was read: later captures are not in it. `missing` counts the files
    that the archive itself had lost. One made by other means (`is_outside`: a snapshot of a volume, say) is known only from
    the person who recorded it.
    """

    made_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    place = models.CharField(max_length=500)
    name = models.CharField(max_length=60)
    is_outside = models.BooleanField(default=False)
    database_bytes = models.PositiveBigIntegerField(default=0)
    files = models.PositiveIntegerField(default=0)
    files_bytes = models.PositiveBigIntegerField(default=0)
    new_files = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)

    objects = BackupManager()

    class Meta:
        ordering = ("-made_at", "-pk")

    def __str__(self) -> str:
        return self.name

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.finished_at - self.made_at).total_seconds()


class DrillManager(models.Manager["Drill"]):
    """Drills by age."""

    def newest_passed(self) -> Drill | None:
        """The newest drill that proved its backup."""
        return self.filter(passed=True).order_by("-begun_at").first()


class Drill(models.Model):
    """A trial restoration of a backup, into a database and a folder of its own, and whether it was proved there.

    `seconds` is how long a restoration takes; a disaster at `begun_at` would have lost the `lost_seconds` before it.
    `report` lists what was looked at: {"seed": ..., "checks": [{"what": ..., "passed": ...}]}.
    """

    begun_at = models.DateTimeField()
    name = models.CharField(max_length=60)
    place = models.CharField(max_length=500)
    passed = models.BooleanField()
    seconds = models.FloatField()
    lost_seconds = models.FloatField()
    report = models.JSONField()

    objects = DrillManager()

    class Meta:
        ordering = ("-begun_at", "-pk")
        verbose_name = "restore drill"

    def __str__(self) -> str:
        return f"drill of {self.name}, {self.begun_at:%Y-%m-%d %H:%M}"


class RestorationManager(models.Manager["Restoration"]):
    """Whether this database has just come out of a backup."""

    def unfinished(self) -> Restoration | None:
        """The restoration that no person has finished yet; until then schedules and notices are paused."""
        return self.filter(finished_at__isnull=True).first()


class Restoration(models.Model):
    """This database was restored from a backup: schedules and notices are paused until a person finishes it.

    `schedules` are the names of those that were on.
    """

    restored_at = models.DateTimeField()
    name = models.CharField(max_length=60)
    place = models.CharField(max_length=500)
    made_at = models.DateTimeField()
    schedules = models.JSONField(default=list)
    finished_at = models.DateTimeField(null=True)

    objects = RestorationManager()

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"restored from {self.name}"
