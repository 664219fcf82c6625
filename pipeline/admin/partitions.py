"""Partitions: what is held of each, and running them again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from pipeline import operations
from pipeline.admin.acting import ActingAdmin, Doing
from pipeline.models import Act, Partition

DOINGS: tuple[Doing[Partition], ...] = (
    Doing(
        Act.REINGEST,
        operations.reingest,
        "refresh",
        tone="primary",
    ),
    Doing(
        Act.FORCE_REINGEST,
        operations.force_reingest,
        "priority_high",
        needs_reason=True,
        explained=(
            "Whatever the source holds is captured as a new vintage, changed or not, and also where it would be refused "
            "for holding less than is held now. Your reason is kept with every capture made."
        ),
    ),
    Doing(Act.RENORMALIZE, operations.renormalize, "restart_alt"),
)


@admin.register(Partition)
class PartitionAdmin(ActingAdmin[Partition]):
    """A week of a tier: its vintages, and what became of each try."""

    page_template = "pipeline/partition.html"
    list_display = ("week_ending", "tier", "newest_version", "latest")
    list_select_related = ("latest",)
    doings = DOINGS

    def page(self, request: HttpRequest, found: Partition) -> dict[str, Any]:
        """Its captures, newest first."""
        captures = found.captures.select_related("run").order_by("-version")
        return {**self.frame_of(request, found), "captures": captures}
