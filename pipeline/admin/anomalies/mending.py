"""On the page of an open anomaly: the click that proves it to be over, and the command that ends it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.http import HttpRequest
from django.urls import reverse

from pipeline.admin.shared.acting import Button, may
from pipeline.finra.calendar import market_today
from pipeline.finra.plain_text import capitalized
from pipeline.models import Act, Anomaly, Readiness
from pipeline.review import grid, repairs
from pipeline.review.doctor import manage
from pipeline.review.repairs import Mend

OF_PARTITIONS = {Mend.FETCH: Act.REINGEST, Mend.NORMALIZE: Act.RENORMALIZE}
ICONS = {Act.REINGEST: "refresh", Act.RENORMALIZE: "restart_alt", Act.RECOMPUTE: "calculate"}


@dataclass(frozen=True, slots=True)
class Mending:
    """The button, where one click may end it, the command, and whether it then ends by itself."""

    button: Button | None
    command: str
    by_itself: bool


def mending(request: HttpRequest, anomaly: Anomaly) -> Mending | None:
    """What ends an open anomaly, by the rule of the doctor; None for one that is resolved, or of no week."""
    week, partition = anomaly.concerns_week, anomaly.partition
    if anomaly.resolved_at is not None or week is None:
        return None
    cell = grid.cells([partition.key], market_today(), {})[0] if partition else None
    mend = repairs.mend(anomaly, cell)
    return Mending(
        _button(request, anomaly, week, mend), manage(*repairs.words(anomaly, cell, week)), mend is not Mend.RESOLVE
    )


def _button(request: HttpRequest, anomaly: Anomaly, week: date, mend: Mend) -> Button | None:
    """The button of the partition's or the week's act; None where there is none, or the user may not."""
    act, verdict = OF_PARTITIONS.get(mend), None
    if mend is Mend.CALC:
        act, verdict = Act.RECOMPUTE, Readiness.objects.filter(week_ending=week).first()
    if act is None or not may(request, act) or (verdict is None and anomaly.partition is None):
        return None
    model, pk = ("readiness", verdict.pk) if verdict else ("partition", anomaly.partition_id)
    url = reverse(f"admin:pipeline_{model}_{act.lower()}", args=[pk])
    return Button(capitalized(act.label), ICONS[act], url, needs_reason=False, tone="primary")
