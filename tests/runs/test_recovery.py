"""Recovery: which messages are sent again, to the microsecond and by whom."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings

from pipeline.models import PartitionStatus, Run, RunPartition, RunStatus
from pipeline.runs import lifecycle, recovery
from tests.runs.test_process_partition import NOON, begin
from tests.support.engines import Ledger

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
    assert found("another-machine:1:abcd1234") == []
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
    Run.objects.filter(pk=unsent.run_id).update(worker="another-machine:1:abcd1234")
    assert recovery.resend_queued() == 0
