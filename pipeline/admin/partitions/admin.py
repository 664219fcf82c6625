"""Partitions: their newest capture, the outcome of the last try, and running them again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RangeDateFilter

from pipeline import operations
from pipeline.admin.partitions.page import contents
from pipeline.admin.shared import figures
from pipeline.admin.shared.acting import ActingAdmin, ObjectAction
from pipeline.admin.shared.base import badge, link
from pipeline.admin.shared.market_links import week_link
from pipeline.admin.shared.searching import of_choices, of_partition, words
from pipeline.finra.calendar import due_date, is_due, market_today
from pipeline.models import (
    BAD_OUTCOMES,
    Act,
    Action,
    Anomaly,
    Outcome,
    Partition,
    PartitionStatus,
    RunPartition,
    RunStatus,
)
from pipeline.runs.history import IDLE

RUNNING = "RUNNING"
NEVER = "NEVER"
STATES = {
    RUNNING: "under way",
    **{outcome.value: outcome.label for outcome in Outcome if outcome not in (Outcome.CANCELLED, Outcome.NOT_YET_DUE)},
    NEVER: "never tried",
}

OBJECT_ACTIONS: tuple[ObjectAction[Partition], ...] = (
    ObjectAction(
        Act.REINGEST,
        operations.reingest,
        "refresh",
        tone="primary",
    ),
    ObjectAction(
        Act.FORCE_REINGEST,
        operations.force_reingest,
        "priority_high",
        needs_reason=True,
        explained=(
            "Whatever the source holds is captured as a new vintage, changed or not, and also where it would be refused "
            "for holding less than is held now. Your reason is kept with every capture made."
        ),
    ),
    ObjectAction(Act.RENORMALIZE, operations.renormalize, "restart_alt"),
)


def with_states(partitions: QuerySet[Partition]) -> QuerySet[Partition]:
    """Partitions with `state`: under way, or the outcome of the last try (that of `runs.history.last_tries`)."""
    tries = RunPartition.objects.filter(partition=OuterRef("pk"), status=PartitionStatus.DONE)
    worked = tries.exclude(outcome=Outcome.CANCELLED).exclude(action__in=IDLE).order_by("-pk")
    fetched = worked.exclude(action=Action.NORMALIZE)
    open_ = RunPartition.objects.filter(partition=OuterRef("pk"), run__status=RunStatus.RUNNING)
    return partitions.annotate(
        last_outcome=Subquery(worked.values("outcome")[:1]),
        last_fetched=Subquery(fetched.values("outcome")[:1]),
    ).annotate(
        state=Case(
            When(Exists(open_.exclude(status=PartitionStatus.DONE)), then=Value(RUNNING)),
            When(last_fetched__in=BAD_OUTCOMES, then=F("last_fetched")),
            default=Coalesce(F("last_outcome"), Value(NEVER)),
        )
    )


def _with_open_anomalies(partitions: QuerySet[Partition]) -> QuerySet[Partition]:
    of_one = Anomaly.objects.open().filter(partition=OuterRef("pk")).order_by().values("partition")
    counted = Subquery(of_one.annotate(number=Count("pk")).values("number"), output_field=IntegerField())
    return partitions.annotate(open_anomalies=Coalesce(counted, 0))


def state_badge(partition: Partition, state: str) -> SafeString:
    """A state of `with_states`; for a partition never tried, one by the calendar and its captures."""
    if state != NEVER:
        return badge(state)
    if partition.newest_version:
        return badge("GOOD", "captured")
    return badge("MISSING" if is_due(partition.key, market_today()) else "NOT_YET_DUE")


class PartitionStateFilter(admin.SimpleListFilter):
    """Filters by the outcome of the last try."""

    title = "last try"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return STATES.items()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Partition]) -> QuerySet[Partition]:
        return queryset.filter(Q(("state", self.value()))) if self.value() else queryset


class OpenAnomaliesFilter(admin.SimpleListFilter):
    """Filters by whether it has open anomalies."""

    title = "open anomalies"
    parameter_name = "open_anomalies"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return (("some", "some"), ("none", "none"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Partition]) -> QuerySet[Partition]:
        conditions = {"some": Q(open_anomalies__gt=0), "none": Q(open_anomalies=0)}
        return queryset.filter(conditions.get(self.value() or "", Q()))


class CapturedFilter(admin.SimpleListFilter):
    """Filters by whether it has a capture."""

    title = "captured"
    parameter_name = "captured"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return (("ever", "ever"), ("never", "never"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Partition]) -> QuerySet[Partition]:
        conditions = {"ever": Q(newest_version__gt=0), "never": Q(newest_version=0)}
        return queryset.filter(conditions.get(self.value() or "", Q()))


@admin.register(Partition)
class PartitionAdmin(ActingAdmin[Partition]):
    """Partitions, with their vintages and tries."""

    page_template = "pipeline/partition.html"
    list_display = ("week", "tier", "state", "version", "captured", "restated", "anomalies", "due")
    list_display_links = ("tier",)
    list_select_related = ("latest",)
    list_filter = ("tier", ("week_ending", RangeDateFilter), PartitionStateFilter, CapturedFilter, OpenAnomaliesFilter)
    search_fields = ("week_ending", "tier")  # shows the field; `get_search_results` searches
    search_help_text = "A week, a tier, what became of the last try: 2025-11-14 OTC, refused, never tried"
    object_actions = OBJECT_ACTIONS

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/capture.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Partition]:
        """The partitions, with the states and open anomalies that the filters use."""
        return _with_open_anomalies(with_states(super().get_queryset(request)))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Partition], search_term: str
    ) -> tuple[QuerySet[Partition], bool]:
        """Search by the week, the tier and the state that the list shows: each word has to be one of them."""
        for word in words(search_term):
            queryset = queryset.filter(of_partition("", word) | of_choices("state", STATES.items(), word))
        return queryset, False

    @admin.display(description="week ending", ordering="week_ending")
    def week(self, partition: Partition) -> SafeString | str:
        return week_link(partition.week_ending)

    @admin.display(description="last try")
    def state(self, partition: Any) -> SafeString:
        return state_badge(partition, partition.state)

    @admin.display(description="version", ordering="newest_version")
    def version(self, partition: Partition) -> str:
        return figures.number(partition.newest_version) if partition.newest_version else figures.NONE

    @admin.display(description="newest capture", ordering="latest__captured_at")
    def captured(self, partition: Partition) -> SafeString | str:
        latest = partition.latest
        return link(latest, f"{latest.captured_at:%Y-%m-%d %H:%M} UTC") if latest else figures.NONE

    @admin.display(description="+ / changed / -")
    def restated(self, partition: Partition) -> str:
        return figures.restated(partition.latest)

    @admin.display(description="open anomalies", ordering="open_anomalies")
    def anomalies(self, partition: Any) -> SafeString | str:
        if not partition.open_anomalies:
            return figures.NONE
        url = reverse("admin:pipeline_anomaly_changelist")
        query = f"partition__exact={partition.pk}&resolved_at__isnull=True"
        return format_html(
            '<a class="ms-link" href="{}?{}">{}</a>', url, query, figures.number(partition.open_anomalies)
        )

    @admin.display(description="due")
    def due(self, partition: Partition) -> str:
        return due_date(partition.key.tier, partition.week_ending).isoformat()

    def page(self, request: HttpRequest, found: Any) -> dict[str, Any]:
        """Its captures, manifests, anomalies and runs, and the acts of operators."""
        return {**self.frame_of(request, found), "state": state_badge(found, found.state), **contents(found)}
