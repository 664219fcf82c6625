"""A pytest plugin that tries many mutants with one start: each in a child of a process that has imported much.

To import and to migrate takes long, most mutants are caught soon. A first child runs the tests with nothing changed, which
says which of them pass, and which enter the function of a mutant. In a child of its own that function is then given the code
that it has in the changed file. Processes that a test starts keep the old code: a mutant that only they would show lives.
"""

from __future__ import annotations

import ast
import builtins
import gc
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.engines import Ledger

PASSED, FAILED, UNCHANGED, UNREACHED = 0, 1, 3, 4
WORDS = {PASSED: "alive", UNCHANGED: "unchanged", UNREACHED: "unreached", -signal.SIGKILL: "hangs"}
SECONDS = 120
MOST_TESTS = 40  # of those that enter a function, the ones that stand first
HIT = "_mutants_hit"
PRELOADED = (
    "celery",
    "django.contrib.admin",
    "hypothesis",
    "polars",
    "psycopg",
    "rest_framework.views",
    "time_machine",
)


@dataclass(frozen=True, slots=True)
class Task:
    """A mutant: its file, the line, the changed text, and its name for people."""

    path: str
    line: int
    source: str
    name: str

    def replace(self, tree: ast.Module | str) -> bool:
        """Give the function around the line the code that it has in another text of the file; whether it was found."""
        path = Path(self.path).resolve()
        old = outermost(compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True), self.line)
        new = outermost(compile(tree, str(path), "exec", dont_inherit=True), self.line)
        if old is None or new is None or old.co_freevars != new.co_freevars:
            return False
        found = [
            one for one in gc.get_objects() if isinstance(one, FunctionType) and _names(one.__code__) == _names(old)
        ]
        for function in found:
            function.__code__ = new
        return bool(found)

    def function(self) -> tuple[str, int]:
        """The function that holds the line: its file, and where it begins."""
        return self.path, next((each.lineno for each in self._around()), self.line)

    def _around(self, tree: ast.Module | None = None) -> list[ast.FunctionDef]:
        """The functions around the line, the outermost first."""
        tree = tree or ast.parse(Path(self.path).read_text(encoding="utf-8"))
        return [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and _holds_line(each, self.line)]

    def with_hit(self, number: int) -> ast.Module:
        """The file with a call at the beginning of the function, which says that it was entered."""
        tree = ast.parse(Path(self.path).read_text(encoding="utf-8"))
        for function in self._around(tree)[:1]:
            call = ast.parse(f"{HIT}({number})").body[0]
            for node in ast.walk(call):
                ast.copy_location(node, function.body[0])
            function.body.insert(0, call)
        return tree


class Parent:
    """The plugin of the process that collects nothing: polars, which a test file may use at once, bears no fork after it."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> bool:
        """Import what every test needs, and leave the tests to the children."""
        for name in PRELOADED:
            import_module(name)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try every mutant in turn instead of running the tests once."""
        session.config.pluginmanager.unregister(self)
        folder = session.config.rootpath
        tasks = [Task(**fields) for fields in json.loads((folder / "tasks.json").read_text(encoding="utf-8"))]
        _migrate_once(folder / "migrated.sqlite3")
        reached = _reached(session, tasks, folder / "reached.json")
        with (folder / "answers").open("w", encoding="utf-8") as answers:
            for number, task in enumerate(tasks):
                chosen = _nearest(task, [name for name, numbers in reached.items() if number in numbers])
                started = time.monotonic()
                code = _in_child(partial(_try, session, task, chosen), SECONDS) if chosen else UNREACHED
                word, took = WORDS.get(code, "caught"), time.monotonic() - started
                print(f"{word} {len(chosen)} tests, {took:.0f} s, {task.name}", file=answers, flush=True)
        return True


def pytest_configure(config: pytest.Config) -> None:
    """Have this process collect nothing."""
    config.pluginmanager.register(Parent())


def _collected(session: pytest.Session, files: Collection[str] = ()) -> list[pytest.Item]:
    """The tests of the session, or of some of its files: collected in the child that runs them."""
    if files:
        session.config.args = sorted(files)
    session.config.hook.pytest_collection(session=session)
    return session.items


def _nearest(task: Task, tests: Sequence[str]) -> list[str]:
    """At most so many tests as are worth running: those of the module's own test file, of files that name it, and others."""
    name = Path(task.path).stem

    def distance(file: str) -> int:
        path = Path(file)
        return 0 if path.name == f"test_{name}.py" else 1 if name in path.read_text(encoding="utf-8") else 2

    far = {file: distance(file) for file in {_file(test) for test in tests}}
    return sorted(tests, key=lambda test: far[_file(test)])[:MOST_TESTS]


def _file(test: str) -> str:
    return test.partition("::")[0]


def _reached(session: pytest.Session, tasks: Sequence[Task], kept: Path) -> dict[str, list[int]]:
    """The tests that pass while nothing is changed, each with the numbers of the mutants whose function it enters."""

    def run() -> int:
        hits, found = set[int](), dict[str, list[int]]()
        items = _collected(session)
        setattr(builtins, HIT, hits.add)
        functions = [task.function() for task in tasks]
        firsts = [functions.index(function) for function in functions]  # mutants of one function share its first number
        for number in set(firsts):
            tasks[number].replace(tasks[number].with_hit(number))
        for item, passed in _results(session, items):
            if passed:
                found[item.nodeid] = [number for number, first in enumerate(firsts) if first in hits]
            else:
                print(f"fails with nothing changed, and is left out: {item.nodeid}", flush=True)
            hits.clear()
        kept.write_text(json.dumps(found), encoding="utf-8")
        return PASSED

    if _in_child(run, 3600) != PASSED:
        raise pytest.UsageError("the tests do not run in a child of this process")
    found: dict[str, list[int]] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def _results(session: pytest.Session, items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, bool]]:
    """Run tests in their order; each with whether it passed."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        before = session.testsfailed
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        yield item, session.testsfailed == before


def _try(session: pytest.Session, task: Task, chosen: Sequence[str]) -> int:
    """The exit code of a child: whether the function was found, and a test failed."""
    found = {item.nodeid: item for item in _collected(session, {_file(test) for test in chosen})}
    if not task.replace(task.source):
        return UNCHANGED
    items = [found[name] for name in chosen if name in found]
    return PASSED if all(passed for _, passed in _results(session, items)) else FAILED


def outermost(module: CodeType, line: int) -> CodeType | None:
    """The code of the function, of the module or of a class, that holds the line."""
    return next((code for code in _functions(module) if _holds(code, line)), None)


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & 0x0002:  # CO_NEWLOCALS: a function; the body of a class has none
                yield constant
            else:
                yield from _functions(constant)


def _holds(code: CodeType, line: int) -> bool:
    lines = [at for _, _, at in code.co_lines() if at is not None]
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return code.co_firstlineno <= line <= max(lines, default=0) or any(_holds(one, line) for one in inner)


def _holds_line(node: ast.FunctionDef, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _names(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _in_child(act: Callable[[], int], seconds: float) -> int:
    """The exit code of what a child does; that of a kill where it takes too long."""
    from tests.support import servers  # noqa: PLC0415 - a plugin is imported before Django is set up

    child = os.fork()
    if child == 0:
        code = FAILED
        try:
            os.setsid()
            code = act()
        finally:
            servers.stop()
            os._exit(code)
    try:
        with _alarm(child, seconds):
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        with suppress(ProcessLookupError):  # servers of the tests that failed: no fixture has stopped them
            os.killpg(child, signal.SIGKILL)


@contextmanager
def _alarm(child: int, seconds: float) -> Iterator[None]:
    """Kill the child, and what it started, once the time is over."""
    before = signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _migrate_once(kept: Path) -> None:
    """Have the first child that needs an SQLite ledger migrate, and every later one copy what it made."""
    from tests.support import engines  # noqa: PLC0415 - a plugin is imported before Django is set up

    build = engines.built

    def built(ledger: Ledger) -> Ledger:
        if not isinstance(ledger, engines.SQLiteLedger):
            return build(ledger)
        if kept.exists():
            shutil.copy(kept, ledger.path)
        else:
            build(ledger)
            shutil.copy(ledger.path, kept)
        return ledger

    engines.built = built
