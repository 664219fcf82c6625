"""Backups with the files that they lack, and the drills that proved them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from pipeline.admin.shared import figures
from pipeline.admin.shared.base import EvidenceAdmin, badge
from pipeline.admin.shared.lines import acts_on
from pipeline.models import Backup, Drill


@admin.register(Backup)
class BackupAdmin(EvidenceAdmin[Backup]):
    """The backups that this ledger knows, the newest first. They are made by `manage.py backup create`."""

    page_template = "pipeline/backup.html"
    when_empty = "No backup was made yet: manage.py backup create, or record one that other means made."
    list_display = ("made", "name", "state", "size", "new_files", "took", "place")
    list_filter = ("is_outside",)
    ordering = ("-made_at",)

    @admin.display(description="holds what was known", ordering="made_at")
    def made(self, backup: Backup) -> str:
        return f"{backup.made_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="state", ordering="missing")
    def state(self, backup: Backup) -> SafeString:
        lost = f"{figures.number(backup.missing)} files are missing"
        return (
            badge("ERROR", lost) if backup.missing else badge("GOOD", "recorded" if backup.is_outside else "complete")
        )

    @admin.display(description="size")
    def size(self, backup: Backup) -> str:
        return "-" if backup.is_outside else figures.size(backup.database_bytes + backup.files_bytes)

    @admin.display(description="took")
    def took(self, backup: Backup) -> str:
        return "-" if backup.is_outside else figures.seconds(timedelta(seconds=backup.seconds))

    def page(self, request: HttpRequest, found: Backup) -> dict[str, Any]:
        """Its figures, and the drills of it."""
        drills = [(drill, _passed(drill)) for drill in Drill.objects.filter(name=found.name, place=found.place)[:20]]
        shown = {"state": self.state(found), "size": self.size(found), "took": self.took(found)}
        return {**shown, "drills": drills, "acts": acts_on([("backup", [found.pk])])}


@admin.register(Drill)
class DrillAdmin(EvidenceAdmin[Drill]):
    """Trial restorations by `manage.py backup drill`, newest first."""

    page_template = "pipeline/drill.html"
    when_empty = "No backup was ever restored: manage.py backup drill does it beside the ledger, and proves it."
    list_display = ("begun", "name", "state", "took", "place")
    list_filter = ("passed",)
    ordering = ("-begun_at",)

    @admin.display(description="when", ordering="begun_at")
    def begun(self, drill: Drill) -> str:
        return f"{drill.begun_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="state", ordering="passed")
    def state(self, drill: Drill) -> SafeString:
        return _passed(drill)

    @admin.display(description="restored in", ordering="seconds")
    def took(self, drill: Drill) -> str:
        return figures.seconds(timedelta(seconds=drill.seconds))

    def page(self, request: HttpRequest, found: Drill) -> dict[str, Any]:
        """The checks, failed ones first."""
        checks = sorted(found.report["checks"], key=lambda check: bool(check["passed"]))
        shown = [
            (badge("GOOD", "proved") if one["passed"] else badge("ERROR", "not so"), one["what"]) for one in checks
        ]
        lost = figures.seconds(timedelta(seconds=found.lost_seconds))
        return {"state": _passed(found), "took": self.took(found), "lost": lost, "checks": shown}


def _passed(drill: Drill) -> SafeString:
    return badge("GOOD", "proved") if drill.passed else badge("ERROR", "not proved")
