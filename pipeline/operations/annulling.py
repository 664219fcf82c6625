"""Annulling a capture, with its week's analytics and verdicts, at once."""

from __future__ import annotations

from pipeline.capture import annulment
from pipeline.capture.annulment import CannotBeAnnulled
from pipeline.capture.commit import Superseded
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import market_today
from pipeline.models import Act, Capture, OperatorLogEntry
from pipeline.operations.orders import ActResult, Order, Refused, carry_out
from pipeline.operations.resolutions import judge_weeks
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.records import LedgerBehind
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import analytics


def annul(capture: Capture, order: Order) -> OperatorLogEntry:
    """Annul a capture, with the order's reason as the note: it stays, and the rows before it are the latest again."""

    def work() -> ActResult:
        order.with_reason()
        terms = Terms(run_date=market_today(), requested_by=order.operator, request_reason=order.reason.strip())
        try:
            made = annulment.annul(capture, terms)
            week = made.partition.week_ending
            analytics.calculate_week(week)
        except (CannotBeAnnulled, ArchiveDamaged, VintageDamaged, Superseded, LedgerBehind) as error:
            raise Refused(f"{error}; nothing was annulled") from error
        return ActResult(f"{capture} is annulled: {made} has the rows that stand. {judge_weeks({week})}")

    return carry_out(Act.ANNUL, order, [capture], work)
