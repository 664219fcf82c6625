"""Recovery: which messages are sent again, to the microsecond and by whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings

from pipeline.finra.calendar import Tier
from pipeline.models import PartitionStatus, Run, RunPartition, RunStatus, Tally
from pipeline.runs import lifecycle, recovery
from tests.runs.test_process_partition import ELSEWHERE, NOON, REQUEST, begin
from tests.support.engines import Ledger

pytestmark = pytest.mark.each_database

MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(("longer", "sent_again"), [(timedelta(0), 0), (MOMENT, 1)])
def test_a_message_is_overdue_after_the_time_allowed_not_at_it(
    ledger: Ledger, longer: timedelta, sent_again: int
) -> None:
    begin()
    allowed = timedelta(seconds=settings.MARKETSPINE_RESEND_AFTER_SECONDS)
    RunPartition.objects.update(sent_at=NOON - allowed - longer, sendings=1)
    with time_machine.travel(NOON, tick=False):
        assert recovery.resend_unstarted() == sent_again


def test_sent_before_means_before_not_started_and_by_the_same_process(ledger: Ledger) -> None:
    step = begin()

    def found(worker: str = "") -> list[RunPartition]:
        return list(recovery.sent_before(worker, NOON))

    for sent_at, expected in ((NOON - MOMENT, [step]), (NOON, []), (NOON + MOMENT, []), (None, [])):
        RunPartition.objects.update(sent_at=sent_at)
        assert found() == expected
    RunPartition.objects.update(sent_at=NOON - MOMENT)
    assert found(ELSEWHERE) == []
    RunPartition.objects.update(status=PartitionStatus.RUNNING)
    assert found() == []
    RunPartition.objects.update(status=PartitionStatus.PENDING)
    lifecycle.move(step.run, RunStatus.INTERRUPTED)
    assert found() == []


def test_only_what_a_lost_queue_held_is_sent_again(ledger: Ledger) -> None:
    unsent, sent = begin(), begin()
    RunPartition.objects.filter(pk=sent.pk).update(sent_at=NOON)
    assert recovery.resend_queued() == 1
    assert list(RunPartition.objects.filter(sent_at=None).order_by("pk")) == [unsent, sent]
    RunPartition.objects.update(sent_at=NOON)
    RunPartition.objects.filter(pk=sent.pk).update(status=PartitionStatus.RUNNING)
    Run.objects.filter(pk=unsent.run_id).update(worker=ELSEWHERE)
    assert recovery.resend_queued() == 0


def test_a_try_cut_by_the_order_to_stop_counts_as_none(ledger: Ledger) -> None:
    silent = NOON - timedelta(days=1)
    cut, lost = begin(), begin(replace(REQUEST, tiers=(Tier.NMS_TIER_1,)))
    under_way = {"status": PartitionStatus.RUNNING, "worker": ELSEWHERE, "heartbeat_at": silent, "sent_at": silent}
    RunPartition.objects.update(**under_way, attempts=2)
    RunPartition.objects.filter(pk=cut.pk).update(stop_ordered_at=silent)
    with time_machine.travel(NOON, tick=False):
        assert recovery.requeue_stalled() == (2, 0)
    found = RunPartition.objects.order_by("pk").values_list("pk", "status", "attempts", "sent_at")
    assert list(found) == [(cut.pk, "PENDING", 1, None), (lost.pk, "PENDING", 2, None)]
    assert Tally.objects.sums()["work_attempts"] == {(("outcome", "cut"),): 1, (("outcome", "worker_lost"),): 1}
