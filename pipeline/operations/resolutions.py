"""Acts that are done at once: resolving and reopening anomalies, judging weeks again, pinning captures."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import TypeVar

from pipeline.finra.calendar import market_today
from pipeline.keeping import marking
from pipeline.models import Act, Anomaly, Capture, OperatorLogEntry, PruneEntry, Readiness
from pipeline.models.anomaly import NotOpen, NotResolved
from pipeline.models.pruning import GONE
from pipeline.operations.orders import ActResult, Order, Refused, carry_out
from pipeline.weeks import readiness

T = TypeVar("T")


def resolve(anomalies: Collection[Anomaly], order: Order, today: date | None = None) -> OperatorLogEntry:
    """Resolve the open ones, with the order's reason as the note, and judge their weeks again.

    The result names those that had ended already; Refused when all had. `today` decides what is due; by default it is
    today's date in New York.
    """

    def work() -> ActResult:
        order.with_reason()
        ended = [anomaly for anomaly in _some(anomalies, "anomaly") if not _resolved(anomaly, order)]
        done = [anomaly for anomaly in anomalies if anomaly not in ended]
        named = ", ".join(str(anomaly.pk) for anomaly in ended)
        if not done:
            raise Refused(f"anomaly {named} is not open; nothing was resolved")
        over = f" {_counted(len(ended), 'had', 'had')} ended before: {named}." if ended else ""
        judged = judge_weeks(_weeks_of(done), today)
        return ActResult(f"{_counted(len(done), 'anomaly', 'anomalies')} resolved.{over} {judged}")

    return carry_out(Act.RESOLVE, order, anomalies, work)


def _resolved(anomaly: Anomaly, order: Order) -> bool:
    """Resolve an anomaly; False when it has ended already."""
    try:
        anomaly.resolve(by=order.operator, note=order.reason)
    except NotOpen:
        return False
    return True


def reopen(anomalies: Collection[Anomaly], order: Order) -> OperatorLogEntry:
    """Reopen resolved anomalies, all or none, and judge their weeks again."""

    def work() -> ActResult:
        order.with_reason()
        try:
            were = [_resolution(anomaly) for anomaly in _some(anomalies, "anomaly")]
            for anomaly in anomalies:
                anomaly.reopen()
        except NotResolved as error:
            raise Refused(f"{error}; nothing was reopened") from error
        reopened = f"{_counted(len(anomalies), 'anomaly', 'anomalies')} reopened ({'; '.join(were)})."
        return ActResult(f"{reopened} {judge_weeks(_weeks_of(anomalies))}")

    return carry_out(Act.REOPEN, order, anomalies, work)


def _resolution(anomaly: Anomaly) -> str:
    """The resolution that reopening clears, with who, when and why, for the log."""
    if anomaly.resolved_at is None:
        return f"anomaly {anomaly.pk} was open"
    when = f"{anomaly.resolved_at:%Y-%m-%d %H:%M} UTC"
    return f'anomaly {anomaly.pk} was resolved {when} by {anomaly.resolved_by}: "{anomaly.note}"'


def reevaluate(verdicts: Collection[Readiness], order: Order) -> OperatorLogEntry:
    """Judge the weeks of these verdicts again, for all uses."""

    def work() -> ActResult:
        return ActResult(judge_weeks({verdict.week_ending for verdict in _some(verdicts, "week")}))

    return carry_out(Act.REEVALUATE, order, verdicts, work)


def pin(capture: Capture, order: Order) -> OperatorLogEntry:
    """Keep a capture from being pruned, with the order's reason as the note; one that is marked is taken back.

    Refused where its rows are gone.
    """

    def work() -> ActResult:
        order.with_reason()
        if PruneEntry.objects.filter(capture=capture, state__in=GONE).exists():
            raise Refused(f"the rows of {capture} are pruned already: there is nothing to keep")
        unpinned = Capture.objects.filter(pk=capture.pk, pinned=False)
        if not unpinned.update(pinned=True, pin_note=order.reason.strip()):
            raise Refused(f"{capture} is pinned already")
        plan = marking.rescue(capture)
        back = f" Plan {plan} had marked it: it is taken back." if plan else ""
        return ActResult(f"{capture} is pinned: pruning leaves it.{back}")

    return carry_out(Act.PIN, order, [capture], work)


def unpin(capture: Capture, order: Order) -> OperatorLogEntry:
    """Let a pinned capture be pruned again."""

    def work() -> ActResult:
        order.with_reason()
        capture.refresh_from_db(fields=["pin_note"])
        if not Capture.objects.filter(pk=capture.pk, pinned=True).update(pinned=False, pin_note=""):
            raise Refused(f"{capture} is not pinned")
        return ActResult(f'{capture} is not pinned any more; it was for: "{capture.pin_note}".')

    return carry_out(Act.UNPIN, order, [capture], work)


def _some(of: Collection[T], what: str) -> Collection[T]:
    """The collection itself; Refused when it is empty."""
    if not of:
        raise Refused(f"no {what} is selected")
    return of


def _weeks_of(anomalies: Iterable[Anomaly]) -> set[date]:
    return {week for anomaly in anomalies for week in anomaly.weeks_concerned}


def judge_weeks(weeks: Iterable[date], today: date | None = None) -> str:
    """Judge the weeks, and say what they are now: "2025-11-14 is READY for trading, ..."."""
    sentences = []
    for week in sorted(weeks, reverse=True):
        verdicts = readiness.decide_week(week, today or market_today())
        sentences.append(f"{week} is " + ", ".join(f"{v.state} for {use}" for use, v in verdicts.items()))
    return "; ".join(sentences) + "." if sentences else "No week is concerned."


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
