"""An order and its entry in the operator log, in one transaction: the same order given twice acts once."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from pipeline.models import Act, ActOutcome, OperatorLogEntry, OperatorLogSubject, Run, Tally

logger = logging.getLogger(__name__)

LONGEST_LABEL = 200


class Refused(Exception):
    """The act makes no sense now; the message says why. Nothing was done, and the log says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The person who wants an act, and why. `token` is that of the form, by which a double click is known.

    `account` is the number of the operator's account; None where the order comes by a command.
    """

    operator: str
    account: int | None = None
    reason: str = ""
    token: str | None = None

    def with_reason(self) -> Order:
        """The order itself; Refused when it gives no reason."""
        if not self.reason.strip():
            raise Refused("say why: a reason is required, and kept")
        return self


@dataclass(frozen=True, slots=True)
class ActResult:
    """The outcome of an order as a sentence for the person and the log, and the run that it started."""

    sentence: str
    run: Run | None = None


def new_token() -> str:
    """A new token for one showing of a form."""
    return str(uuid.uuid4())


def carry_out(
    act: Act, order: Order, subjects: Iterable[models.Model], work: Callable[[], ActResult]
) -> OperatorLogEntry:
    """Do the work and write it down, both or neither; for an order given before, return the entry written then.

    A Refused that `work` raises is written down too, and goes on to the caller.
    """
    named = _named(subjects)
    given = _Given(act, order, named)
    if (before := given.before()) is not None:
        return before
    try:
        with transaction.atomic():
            result = work()
            outcome = ActOutcome.STARTED if result.run else ActOutcome.DONE
            return _write(act, order, named, outcome, result)
    except IntegrityError:
        if (before := given.before()) is None:
            raise
        return before
    except Refused as refusal:
        if (before := given.before()) is not None:  # by the other click of two, a moment ago
            return before
        _write(act, order, named, ActOutcome.REFUSED, ActResult(str(refusal)))
        raise


def write_down(
    act: Act, order: Order, subjects: Iterable[models.Model], sentence: str, outcome: ActOutcome = ActOutcome.DONE
) -> OperatorLogEntry:
    """Write the entry of an act that was just done, in the caller's transaction, or of one that was refused."""
    return _write(act, replace(order, token=None), _named(subjects), outcome, ActResult(sentence))


def _named(subjects: Iterable[models.Model]) -> list[tuple[str, str, str]]:
    return [(one._meta.model_name or "", str(one.pk), str(one)[:LONGEST_LABEL]) for one in subjects]


def given_before(act: Act, order: Order) -> OperatorLogEntry | None:
    """The entry of the same form, sent before; None where it was not; Refused where it was used for another act."""
    return _Given(act, order, None).before()


@dataclass(frozen=True, slots=True)
class _Given:
    """An order with its act and its subjects (None for any)."""

    act: Act
    order: Order
    named: list[tuple[str, str, str]] | None

    def before(self) -> OperatorLogEntry | None:
        """The entry of the same order given before. A form has one token for all its buttons: another act is refused."""
        found = OperatorLogEntry.objects.filter(token=self.order.token).first() if self.order.token else None
        if found is not None and not self._is(found):
            raise Refused("this page has been used already, for something else: load it again")
        return found

    def _is(self, entry: OperatorLogEntry) -> bool:
        if (entry.act, entry.operator, entry.account) != (self.act, self.order.operator, self.order.account):
            return False
        on = {(kind, key) for kind, key, _ in self.named} if self.named is not None else None
        return on is None or on == set(entry.subjects.values_list("kind", "key"))


@transaction.atomic
def _write(
    act: Act, order: Order, named: list[tuple[str, str, str]], outcome: ActOutcome, result: ActResult
) -> OperatorLogEntry:
    entry = OperatorLogEntry.objects.create(
        at=timezone.now(),
        operator=order.operator,
        account=order.account,
        act=act,
        reason=order.reason.strip(),
        outcome=outcome,
        sentence=result.sentence,
        run=result.run,
        token=order.token if outcome is not ActOutcome.REFUSED else None,
    )
    OperatorLogSubject.objects.bulk_create(
        OperatorLogSubject(entry=entry, kind=kind, key=key, label=label) for kind, key, label in named
    )
    Tally.objects.add("operator_acts", act=act, outcome=outcome)
    told: dict[str, object] = {
        "event": "operator_acted",
        "operator": order.operator,
        "act": str(act),
        "outcome": str(outcome),
    }
    if result.run:
        told["run_id"] = result.run.pk
    logger.info("%s by %s: %s", act, order.operator, outcome, extra=told)
    return entry
