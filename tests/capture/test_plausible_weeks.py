"""Whatever happens to a good file, the week is READY only if its rows are those published, within the thresholds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.finra.calendar import PartitionKey, Tier, due_date
from pipeline.models import Readiness, Use
from pipeline.runs import in_process, lifecycle
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from pipeline.vintages import read
from tests.faults.extent import examples
from tests.support.beginnings import bring_about
from tests.support.engines import ENGINES, Begin, Engines
from tests.support.sources_in_memory import HEADER, MemorySource

WEEKS = (date(2025, 10, 31), date(2025, 11, 7), date(2025, 11, 14))
WEEK = WEEKS[1]
KEY = PartitionKey(WEEK, Tier.OTC)
RUN_DATE = date(2025, 12, 22)
VENUES = {"ats": [("AAAA", "AAAA ATS"), ("BBBB", "BBBB ATS")], "firms": [("", "Firm One"), ("", "De Minimis Firms")]}

Lines = tuple[str, ...]


@dataclass(frozen=True)
class Files:
    """A publication as two files, without their headers: None for one that is not there, `cut` for last bytes gone."""

    ats: Lines | None
    firms: Lines | None
    cut: int = 0


def published(key: PartitionKey) -> Files:
    """An invented publication: of every 100 pairs of symbol and venue some 75 trade, each with figures of the week's own."""
    rng = random.Random(f"{key}")
    tier, updated = key.tier.description, due_date(key.tier, key.week_ending).isoformat()

    def lines(venues: Iterable[tuple[str, str]], symbols: int) -> Lines:
        return tuple(
            f"{tier}|S{n:03}|S{n:03} Inc|{name}|{mpid}|{rng.randint(100, 90_000)}|{rng.randint(1, 900)}|{updated}"
            for n in range(symbols)
            for mpid, name in venues
            if rng.random() < 0.75
        )

    return Files(lines(VENUES["ats"], 60), lines(VENUES["firms"], 30))


def fields(line: str) -> list[str]:
    return line.split("|")


def each(files: Files, change: Callable[[Lines], Lines]) -> Files:
    """Both files, changed."""
    return Files(change(files.ats or ()), change(files.firms or ()), files.cut)


def scaled(factor: int) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        return tuple("|".join([*f[:5], str(int(f[5]) * factor), *f[6:]]) for f in map(fields, lines))

    return change


def edited(rows: int, seed: int) -> Callable[[Lines], Lines]:
    """So many rows corrected, a week after publication."""

    def change(lines: Lines) -> Lines:
        chosen = set(random.Random(seed).sample(range(len(lines)), min(rows, len(lines))))
        return tuple(
            "|".join([*f[:5], str(int(f[5]) + 1), f[6], str(RUN_DATE)]) if at in chosen else line
            for at, (line, f) in enumerate(zip(lines, map(fields, lines), strict=True))
        )

    return change


def shuffled(seed: int) -> Callable[[Lines], Lines]:
    return lambda lines: tuple(random.Random(seed).sample(lines, len(lines)))


def renamed(files: Files, *, dates: bool) -> Files:
    """Another week's rows, with this week's dates or their own."""
    other, own = (due_date(Tier.OTC, week).isoformat() for week in (WEEKS[2], WEEK))
    theirs = published(PartitionKey(WEEKS[2], Tier.OTC))
    return each(theirs, lambda lines: tuple(line.replace(other, own) if dates else line for line in lines))


def mixed(files: Files, share: float) -> Files:
    """The first rows are another week's of the same pairs, with this week's dates."""
    theirs = renamed(files, dates=True)

    def mix(own: Lines, others: Lines) -> Lines:
        at = {tuple(fields(line)[1:5]): line for line in others}
        upto = round(len(own) * share)
        return tuple(at.get(tuple(fields(line)[1:5]), line) for line in own[:upto]) + own[upto:]

    return Files(mix(files.ats or (), theirs.ats or ()), mix(files.firms or (), theirs.firms or ()))


Mutation = Callable[[Files], Files]
shares = st.floats(0.02, 1.0)
seeds = st.integers(0, 99)
mutations: st.SearchStrategy[Mutation] = st.one_of(
    shares.map(lambda share: lambda files: each(files, lambda lines: lines[: round(len(lines) * share)])),
    shares.map(
        lambda share: lambda files: Files((files.ats or ())[: round(len(files.ats or ()) * share)], files.firms)
    ),
    st.integers(1, 40).map(lambda cut: lambda files: Files(files.ats, files.firms, cut)),
    shares.map(lambda share: lambda files: each(files, lambda lines: lines + lines[: round(len(lines) * share)])),
    st.booleans().map(lambda dates: lambda files: renamed(files, dates=dates)),
    shares.map(lambda share: lambda files: mixed(files, share)),
    st.just(lambda files: Files(None, files.firms)),
    st.just(lambda files: Files(files.ats, None)),
    st.just(lambda files: Files((), files.firms)),
    st.just(lambda files: Files(files.ats, ())),
    st.sampled_from([2, 3, 10]).map(lambda factor: lambda files: each(files, scaled(factor))),
    seeds.map(lambda seed: lambda files: each(files, shuffled(seed))),
    st.tuples(st.integers(0, 90), seeds).map(lambda how: lambda files: each(files, edited(*how))),
)
NEVER: dict[str, Mutation] = {
    "another week": lambda files: renamed(files, dates=False),
    "another week, dated anew": lambda files: renamed(files, dates=True),
    "no ATS file": lambda files: Files(None, files.firms),
    "no non-ATS file": lambda files: Files(files.ats, None),
    "an empty ATS file": lambda files: Files((), files.firms),
    "an empty non-ATS file": lambda files: Files(files.ats, ()),
    "half of each": lambda files: each(files, lambda lines: lines[: len(lines) // 2]),
    "cut in a line": lambda files: Files(files.ats, files.firms, 7),
    "each line twice": lambda files: each(files, lambda lines: lines + lines),
    "ten times the shares": lambda files: each(files, scaled(10)),
    "a third of another week": lambda files: mixed(files, 0.5),
}
ALWAYS: dict[str, Mutation] = {
    "as it is": lambda files: files,
    "shuffled": lambda files: each(files, shuffled(1)),
    "three rows edited": lambda files: each(files, edited(3, 1)),
}


def content(lines: Lines | None, cut: int = 0) -> bytes | None:
    if lines is None:
        return None
    text = "\n".join([HEADER, *lines, ""]).encode()
    return text[: len(text) - 1 - cut] if cut else text


@dataclass
class Weeks:
    """The weeks in a source of their own, and what running over them says."""

    source: MemorySource

    def publish(self, key: PartitionKey, files: Files) -> None:
        self.source.publish(key, content(files.ats, files.cut), content(files.firms))

    def run(self, *weeks: date) -> None:
        """Capture the weeks, and close them."""
        request = Request(command="backfill", run_date=RUN_DATE, weeks=weeks)
        in_process.execute(lifecycle.start(make_plan(request, set(self.source.payloads))), self.source)

    def state(self) -> str:
        """The verdict on the week, for trading: no other is more lenient than all uses together."""
        states = set(Readiness.objects.filter(week_ending=WEEK).values_list("use", "state"))
        ready = {use for use, state in states if state == "READY"}
        assert ready in (set(), set(Use.values))
        return "READY" if ready else "NOT READY"

    def held(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Shares and trades by symbol and venue, as the latest view has them."""
        rows = read.latest([KEY]).select("symbol", "mpid", "venue_name", "shares", "trades").collect()
        return {(symbol, mpid or firm): (int(shares), trades) for symbol, mpid, firm, shares, trades in rows.rows()}


def all_published() -> Weeks:
    weeks = Weeks(MemorySource())
    for week in WEEKS:
        for tier in Tier:
            weeks.publish(PartitionKey(week, tier), published(PartitionKey(week, tier)))
    return weeks


def with_week(_folder: Path) -> None:
    all_published().run(*WEEKS)


def without_week(_folder: Path) -> None:
    all_published().run(*(week for week in WEEKS if week != WEEK))


def after(mutation: Mutation, begin: Begin, *, captured: bool) -> Weeks:
    """Two neighbours are captured, and perhaps the week itself; the mutated file is offered for it, once."""
    begin(with_week if captured else without_week)
    weeks = all_published()
    weeks.publish(KEY, mutation(published(KEY)))
    weeks.run(WEEK)
    return weeks


def rows_of(files: Files) -> dict[tuple[str, str], tuple[int, int]]:
    lines = (fields(line) for line in (*(files.ats or ()), *(files.firms or ())))
    return {(f[1], f[4] or f[3]): (int(f[5]), int(f[6])) for f in lines}


def is_within_thresholds(held: dict[tuple[str, str], tuple[int, int]], *, captured: bool) -> bool:
    """Counted anew, from the rows alone: those published, a quarter apart at most; of a first week about as many."""
    right, other = rows_of(published(KEY)), rows_of(published(PartitionKey(WEEKS[2], Tier.OTC)))
    again = sum(other.get(key) == values != right.get(key) for key, values in held.items())
    if captured:
        apart = sum(held.get(key) != right.get(key) for key in held.keys() | right.keys())
        return apart <= 0.25 * len(right) and again < 0.2 * len(held)
    volume = sum(shares for shares, _ in held.values()) / sum(shares for shares, _ in right.values())
    of_kind = [_ratio(held, right, is_ats) for is_ats in (True, False)]
    return again < 0.2 * len(held) and all(0.55 <= ratio <= 1.75 for ratio in of_kind) and 0.2 <= volume <= 5


def _ratio(held: Iterable[tuple[str, str]], right: Iterable[tuple[str, str]], is_ats: bool) -> float:
    venues = {mpid for mpid, _ in VENUES["ats"]}
    return sum((v in venues) is is_ats for _, v in held) / sum((v in venues) is is_ats for _, v in right)


@pytest.mark.promise(4, 14)
@examples(2, of_all=150)
@given(mutation=mutations, captured=st.booleans())
@example(mutation=lambda files: mixed(files, 0.3), captured=True)
@example(mutation=lambda files: mixed(files, 0.3), captured=False)
def test_a_ready_week_has_the_rows_that_were_published(
    mutation: Mutation, captured: bool, engines: Engines, source_dir: Path, archive_dir: Path, copies: Path
) -> None:
    states = []
    for engine in ENGINES:
        with engines.using(engine) as ledger:
            begin = partial(bring_about, ledger=ledger, folders=(source_dir, archive_dir), copies=copies)
            weeks = after(mutation, begin, captured=captured)
            states.append(weeks.state())
            assert states[-1] != "READY" or is_within_thresholds(weeks.held(), captured=captured)
    assert states[0] == states[1]


@pytest.mark.promise(14)
@pytest.mark.parametrize("captured", [True, False], ids=["captured", "first"])
@pytest.mark.parametrize("what", NEVER)
def test_what_never_is_ready(begin: Begin, what: str, captured: bool) -> None:
    assert after(NEVER[what], begin, captured=captured).state() == "NOT READY"


@pytest.mark.parametrize("captured", [True, False], ids=["captured", "first"])
@pytest.mark.parametrize("what", ALWAYS)
def test_what_always_is_ready(begin: Begin, what: str, captured: bool) -> None:
    weeks = after(ALWAYS[what], begin, captured=captured)
    assert weeks.state() == "READY"
    assert weeks.held() == rows_of(ALWAYS[what](published(KEY)))
