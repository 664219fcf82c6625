"""Any sequence of publications and runs leaves what a small model says, and keeps the design's promises at every step.

Each example is run on SQLite and on PostgreSQL, which must end alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl
import pytest
from django.db.models import Model
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey, Tier, due_date
from pipeline.models import (
    ALL_TIERS,
    AnalyticsSnapshot,
    Capture,
    Manifest,
    Outcome,
    Run,
    VenueVolume,
)
from pipeline.runs import in_process, lifecycle
from pipeline.runs.plan import make_plan, target_keys
from pipeline.runs.request import OnlyStage, Request
from pipeline.vintages import read
from tests.faults.extent import examples
from tests.support.engines import ENGINES, Engines
from tests.support.ledger_state import archived_files, check_consistent, ledger_state, row_counts
from tests.support.model_of_history import (
    CORRECTIONS,
    MISHAPS,
    Edit,
    History,
    Publication,
    Row,
    emptied,
    fresh,
    page,
    restated,
    without_one,
)
from tests.support.sources_in_memory import MemorySource, psv, row

RUN_DATE = date(2026, 1, 5)
WEEK = date(2025, 11, 14)
KEYS = [PartitionKey(WEEK, tier) for tier in Tier]
LEAST_STEPS, MOST_STEPS = 3, 7


OTHERS = ("revert", "revert", "revert", "replay", "withdraw")


@dataclass(frozen=True)
class Step:
    """For each partition the source has another publication, an earlier one again, the same, or none; then there is a run.

    A correction is one of what was last right, a mishap is not.
    """

    whats: tuple[Edit | str, ...]
    number: int
    how: str


changes = st.sampled_from([*CORRECTIONS, *MISHAPS, *OTHERS])
steps = st.builds(
    Step,
    whats=st.tuples(changes, changes, st.sampled_from(["replay", "replay", fresh, restated, emptied])),
    number=st.integers(0, 9),
    how=st.sampled_from(["plain", "plain", "plain", "plain", "force", "archive", "archive", "normalize"]),
)
# Two partitions are captured; the third is late until it is published.
OPENING = Step((fresh, fresh, "replay"), 0, "plain")
ARCHIVED_THEN_WITHDRAWN = [Step((restated, page, fresh), 1, "archive"), Step(("withdraw",) * 3, 0, "plain")]
THERE_AND_BACK = [Step((restated, without_one, fresh), 3, "plain"), Step(("revert",) * 3, 0, "plain")]
histories = st.lists(steps, min_size=LEAST_STEPS, max_size=MOST_STEPS)


def lines_of(key: PartitionKey, published: Publication) -> list[str]:
    """A publication as lines of FINRA's format."""
    updated = due_date(key.tier, key.week_ending).isoformat()
    spelt = [(symbol, f"{shares}") for symbol, shares in published.lines]
    if spelt and published.zeros:
        spelt[0] = (spelt[0][0], f"{spelt[0][1]}.{'0' * published.zeros}")
    good = [row(symbol, "UBSA", shares, tier=key.tier, updated=updated) for symbol, shares in spelt]
    return good + [f"{key.tier.description}|no row {number}" for number in range(published.broken)]


def rows_in(found: pl.LazyFrame) -> dict[PartitionKey, frozenset[Row]]:
    """Stored rows as the model has them."""
    rows: dict[PartitionKey, set[Row]] = {key: set() for key in KEYS}
    for tier, symbol, shares in found.select("tier", "symbol", "shares").collect().rows():
        rows[PartitionKey(WEEK, Tier(tier))].add((symbol, int(shares)))
    return {key: frozenset(rows[key]) for key in KEYS}


def columns_of_stored_captures() -> dict[object, dict[str, object]]:
    """Every column of every capture whose rows are stored."""
    return {capture["id"]: dict(capture) for capture in Capture.objects.normalized().values()}


def size() -> list[int]:
    """How much is held: captures, manifests, snapshots, files."""
    models: tuple[type[Model], ...] = (Capture, Manifest, AnalyticsSnapshot)
    return [*(model._default_manager.count() for model in models), len(archived_files())]


@dataclass
class World:
    """A source, the ledger in use, and what the model says of each partition."""

    source: MemorySource = field(default_factory=MemorySource)
    offers: dict[PartitionKey, Publication] = field(default_factory=dict)
    earlier: dict[PartitionKey, list[Publication]] = field(default_factory=lambda: {key: [] for key in KEYS})
    model: dict[PartitionKey, History] = field(default_factory=lambda: {key: History() for key in KEYS})
    answers: list[tuple[datetime, dict[PartitionKey, frozenset[Row]]]] = field(default_factory=list)
    told: list[tuple[str, ...]] = field(default_factory=list)

    def publish(self, step: Step) -> None:
        """Let the source have what the step says."""
        for key, what in zip(KEYS, step.whats, strict=True):
            offer = self._offer(key, what, step.number)
            self.offers.pop(key, None)
            self.source.payloads.pop(key, None)
            if offer is None:
                continue
            self.offers[key] = offer
            self.source.publish(key, b"<html>503</html>" if offer.is_page else psv(*lines_of(key, offer)))
            if what not in MISHAPS:
                self.earlier[key].append(offer)

    def _offer(self, key: PartitionKey, what: Edit | str, number: int) -> Publication | None:
        earlier = self.earlier[key]
        if callable(what):
            return what(earlier[-1] if earlier else fresh(Publication(), 0), number)
        if what == "revert" and earlier:
            return earlier[number % len(earlier)]
        return None if what == "withdraw" else self.offers.get(key)

    def run(self, how: str) -> None:
        """A run over the week and one that is not due, checked against the model and the promises."""
        before, shown = columns_of_stored_captures(), {key: self.model[key].latest for key in KEYS}
        expected = {key: self._expected(key, how) for key in KEYS}
        run = self._weekly(how)
        found = {step.partition.key: step for step in run.partitions.select_related("partition")}
        assert {key: found[key].outcome for key in KEYS} == expected
        self.told += [
            (str(key), step.action, step.plan_reason, step.outcome, step.reason) for key, step in found.items()
        ]
        for key in KEYS:
            self._check_partition(key)
            assert how == "force" or 4 * len(self.model[key].latest) >= 3 * len(shown[key])  # promise 4
        assert before.items() <= columns_of_stored_captures().items()  # promise 1
        self._check_answers()

    def _expected(self, key: PartitionKey, how: str) -> Outcome:
        if how == "normalize":
            return self.model[key].normalize()
        return self.model[key].ingest(self.offers.get(key), force=how == "force", store=how != "archive")

    def _weekly(self, how: str) -> Run:
        stages = {"archive": OnlyStage.INGEST, "normalize": OnlyStage.NORMALIZE}
        request = Request(
            command="run_weekly",
            run_date=RUN_DATE,
            weeks=(WEEK,),
            only_stage=stages.get(how, OnlyStage.ALL),
            force=how == "force",
        )
        offered = None if how == "normalize" else self.source.available(target_keys(request))
        counts = row_counts()
        plan = make_plan(request, offered)
        assert row_counts() == counts  # promise 7
        run = in_process.execute(lifecycle.start(plan), self.source)
        planned = [(step.key, step.action, step.reason) for step in plan.steps]
        done = run.partitions.select_related("partition")
        assert [(step.partition.key, step.action, step.plan_reason) for step in done] == planned  # promise 7
        return run

    def _check_partition(self, key: PartitionKey) -> None:
        """Promises 1, 3 and 11: every vintage has its rows, numbers and rejects, and nothing is stored twice."""
        model = self.model[key]
        captures = list(
            Capture.objects.filter(partition__week_ending=WEEK, partition__tier=key.tier).order_by("version")
        )
        assert [capture.version for capture in captures] == list(range(1, len(model.vintages) + 1))
        assert [(c.rows_in, c.rows_kept, c.rows_rejected) for c in captures] == [
            (len(v.published.lines) + v.published.broken, len(v.published.lines), v.published.broken)
            for v in model.vintages
        ]
        stored = [capture for capture in captures if capture.normalized_at]
        counts = [(c.rows_added, c.rows_changed, c.rows_removed, c.rows_unchanged) for c in stored]
        assert counts == model.counts()
        assert [rows_in(read.of_capture(c))[key] for c in stored] == [published.rows for published in model.stored]

    def _check_answers(self) -> None:
        """Promise 5: what was known at an instant stays what was known."""
        self.answers.append((timezone.now(), {key: self.model[key].latest for key in KEYS}))
        for asked, answer in self.answers:
            assert rows_in(read.as_of(asked, KEYS)) == answer

    def check_end(self) -> None:
        """What is read is what is held; promise 11: with its rejects; promise 6: with what its figures came from."""
        check_consistent()
        assert rows_in(read.latest(KEYS)) == {key: self.model[key].latest for key in KEYS}
        for capture in Capture.objects.normalized().select_related("partition"):
            published = self.model[capture.partition.key].vintages[capture.version - 1].published
            assert rows_in(read.of_capture(capture))[capture.partition.key] == published.rows
            rejected = list(capture.rejects.values_list("line", flat=True))
            assert rejected == [2 + len(published.lines) + number for number in range(published.broken)]
        for snapshot in AnalyticsSnapshot.objects.all():
            figures = VenueVolume.objects.filter(snapshot=snapshot).values_list("scope", "shares")
            inputs = {
                (capture.partition.tier, capture.shares) for capture in snapshot.inputs.all() if capture.rows_kept
            }
            assert {figure for figure in figures if figure[0] != ALL_TIERS} == inputs

    def check_replay(self) -> None:
        """Promise 2: the same once more adds nothing."""
        self.run("plain")
        held = size()
        self.run("plain")
        assert size() == held


@pytest.mark.promise(1, 2, 3, 4, 5, 6, 7, 11, 12)
@examples(1, of_all=10)
@given(history=histories)
@example(history=ARCHIVED_THEN_WITHDRAWN)
@example(history=THERE_AND_BACK)
def test_any_history_is_what_the_model_says_on_both_databases(
    history: list[Step], engines: Engines, settings: Settings
) -> None:
    settings.MARKETSPINE_MAX_REJECT_SHARE = 0.5
    ends = []
    for engine in ENGINES:
        with engines.using(engine):
            world = World()
            for step in [OPENING, *history]:
                world.publish(step)
                world.run(step.how)
            world.check_replay()
            world.check_end()
            ends.append((ledger_state(), world.told))
    assert ends[0] == ends[1]
