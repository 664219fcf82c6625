"""No READY by small steps: what each payload alone may change, several together may not."""

from __future__ import annotations

import pytest
from django.utils import timezone

from pipeline.capture import annulment, survey
from pipeline.capture.terms import Terms
from pipeline.models import Anomaly, Capture, Outcome
from pipeline.vintages import archive, files, store
from tests.capture.test_plausibility import DAY, A, B, C, in_memory, numbers, taken
from tests.support.engines import Ledger

WHO = Terms(run_date=DAY, requested_by="robin", request_reason="altered on its way")


@pytest.mark.promise(4, 14)
def test_restatements_are_counted_together_until_one_is_forced(ledger: Ledger) -> None:
    own, step = numbers(0, 200), numbers(0, 200, factor=2)
    assert taken(A, in_memory(A, own)).outcome == Outcome.INGESTED
    for upto in (24, 50):  # an eighth, a quarter
        assert taken(A, in_memory(A, own | dict(list(step.items())[:upto]))).outcome == Outcome.RESTATED
    more = own | dict(list(step.items())[:51])
    refused = taken(A, in_memory(A, more))
    assert refused.reason.startswith(
        "counted from version 1, restates 26% of the 200 rows held, more than the 25% allowed: 51 changed, +0, 0 gone"
    )
    assert taken(A, in_memory(A, own | {"S0": 5})).outcome == Outcome.RESTATED  # most of it is undone
    assert taken(A, in_memory(A, more), force=True).outcome == Outcome.RESTATED
    assert taken(A, in_memory(A, more | {"S199": 5})).outcome == Outcome.RESTATED


@pytest.mark.promise(4, 14)
def test_another_week_that_comes_in_steps_is_known_at_its_fifth(ledger: Ledger) -> None:
    own, other = numbers(0, 200), {f"S{n}": 1001 + n for n in range(200)}
    assert taken(A, in_memory(A, other)).outcome == Outcome.INGESTED
    assert taken(B, in_memory(B, own)).outcome == Outcome.INGESTED
    for upto, outcome in ((20, Outcome.RESTATED), (39, Outcome.RESTATED), (40, Outcome.REFUSED)):
        result = taken(B, in_memory(B, own | dict(list(other.items())[:upto])))
        assert result.outcome == outcome
    assert result.reason.startswith(
        "counted from version 1, this is the week ending 2025-11-14 again: 40 of 200 rows (20%) of "
    )


@pytest.mark.promise(4, 14)
def test_shares_that_move_step_by_step_are_counted_together(ledger: Ledger) -> None:
    own = dict.fromkeys((f"S{n}" for n in range(100)), 10)
    assert taken(A, in_memory(A, own)).outcome == Outcome.INGESTED
    assert taken(A, in_memory(A, own | {"S0": 410})).outcome == Outcome.RESTATED
    refused = taken(A, in_memory(A, own | {"S0": 511}))
    assert refused.reason.startswith("counted from version 1, moves 501 shares where 1,000 shares are held")


@pytest.mark.promise(14)
def test_a_half_that_comes_later_was_not_seen_by_whoever_resolved(ledger: Ledger) -> None:
    for week in (A, C):
        assert taken(week, in_memory(week, numbers(0, 200, week.day), firms=60)).outcome == Outcome.INGESTED
    assert taken(B, in_memory(B, numbers(0, 200, factor=20)), force=True).outcome == Outcome.INGESTED
    survey.survey(B, None)
    first = Anomaly.objects.open().get()
    assert "no non-ATS rows" in first.message
    first.resolve(by="robin", note="the other half is late")
    assert taken(B, in_memory(B, numbers(0, 200, factor=20) | {"S1": 1})).outcome == Outcome.RESTATED
    survey.survey(B, None)
    assert not Anomaly.objects.open().grave().exists()  # a restatement leaves it resolved
    assert taken(B, in_memory(B, numbers(0, 200, factor=20) | {"S1": 1}, firms=6)).outcome == Outcome.RESTATED
    survey.survey(B, None)
    assert "6 non-ATS rows, 10% of the usual" in Anomaly.objects.open().grave().get().message


@pytest.mark.promise(4, 14)
@pytest.mark.parametrize("altered", [numbers(0, 40, factor=3), {}], ids=["changed", "gone"])
def test_what_was_annulled_is_refused_among_other_rows_too(ledger: Ledger, altered: dict[str, int]) -> None:
    own = numbers(0, 200)
    bad = own | altered if altered else numbers(40, 200)
    assert taken(A, in_memory(A, own)).outcome == Outcome.INGESTED
    capture = taken(A, in_memory(A, bad)).capture
    assert capture is not None
    annulment.annul(capture, WHO)
    again = taken(A, in_memory(A, bad | {"S199": 5}))
    assert again.reason == (
        f"these are 40 of the 40 rows in which {capture} differed, which robin annulled on 2025-12-22: "
        '"altered on its way". Force takes them'
    )
    few = own | dict(list(altered.items())[:7]) if altered else numbers(7, 200)  # less than a fifth of them
    assert taken(A, in_memory(A, few)).outcome == Outcome.RESTATED
    assert taken(A, in_memory(A, bad), force=True).outcome == Outcome.RESTATED
    assert taken(A, in_memory(A, bad | {"S199": 5})).outcome == Outcome.RESTATED


@pytest.mark.parametrize("payloads_too", [False, True])
def test_rows_taken_back_are_known_from_their_payload_once_pruned(ledger: Ledger, *, payloads_too: bool) -> None:
    """Restatements are captured whatever retention has removed; with its payload, what was annulled is forgotten."""
    own, altered = numbers(0, 200), numbers(0, 20, factor=3)
    assert taken(A, in_memory(A, own)).outcome == Outcome.INGESTED
    bad = taken(A, in_memory(A, own | altered)).capture
    assert bad is not None
    good = annulment.annul(bad, WHO)
    assert taken(A, in_memory(A, own | {"S199": 5})).outcome == Outcome.RESTATED
    for one in (bad, good):
        Capture.objects.filter(pk=one.pk).update(pruned_at=timezone.now())
        store.discard(one.vintage_path)
    if payloads_too:
        files.remove(archive.path_of(bad.payload_sha256))
    assert taken(A, in_memory(A, own | {"S198": 5})).outcome == Outcome.RESTATED
    again = taken(A, in_memory(A, own | altered | {"S197": 5}))
    assert again.outcome == (Outcome.RESTATED if payloads_too else Outcome.REFUSED)
    assert not any(files.read(one.vintage_path) for one in (bad, good))


def test_rows_that_were_forced_twice_stay_good_when_the_second_is_annulled(ledger: Ledger) -> None:
    own = numbers(0, 200)
    assert taken(A, in_memory(A, own)).outcome == Outcome.INGESTED
    again = taken(A, in_memory(A, own), force=True).capture
    assert again is not None
    annulment.annul(again, WHO)
    assert taken(A, in_memory(A, own | {"S0": 5})).outcome == Outcome.RESTATED
    assert taken(A, in_memory(A, own)).outcome == Outcome.RESTATED
