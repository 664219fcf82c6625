"""What the documents, the Makefile and the tests say of each other is true."""

from __future__ import annotations

import argparse
import ast
import functools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class

ROOT = Path(settings.BASE_DIR)
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])

PROMISES = frozenset(range(1, 16))
DECISIONS = sorted((ROOT / "docs/adr").glob("*.md"))
STATUS = re.compile(r"# \d+\. .*\n\nStatus: (accepted\.|superseded (?:\w+ )*by \[ADR \d+\]\((\d{4}-[a-z0-9-]+\.md)\))")
SOURCE = re.compile(r"[a-z_]+(?:/[a-z_]+)+\.py")

FENCE = re.compile(r"^ *```.*?\n(.*?)^ *```", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+)`")
MAKE = re.compile(r"(?:^|&& |; )(?:\$ )?(?:[A-Z_]+=\S+ )*make ([a-z][a-z-]*)")
COMMAND = re.compile(r"manage\.py ([a-z_]+)([^|;&#>\n]*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
VARIABLE = re.compile(r"\b(?:MARKETSPINE_[A-Z_]*[A-Z]|TEST_[A-Z_]*URL|DATABASE_URL)\b")
TARGET = re.compile(r"^([a-z-]+):", re.M)
READ_FROM_ENVIRONMENT = re.compile(r'\benv\.\w+\(\s*"([A-Z_]+)"')
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home)/")
INDEX = re.compile(r"^\s*(?:-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b|://", re.M)


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=_relative)


def _code(document: Path) -> Iterator[str]:
    """The lines of code blocks, those that a backslash continues as one, and the inline code."""
    text = document.read_text(encoding="utf-8")
    for block in FENCE.findall(text):
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())
    yield from SPAN.findall(FENCE.sub("", text))


@functools.cache
def _options(command: str) -> frozenset[str]:
    """Every option that `manage.py command` takes."""
    app = get_commands()[command]
    loaded = load_command_class(app, command) if isinstance(app, str) else app
    return frozenset(_options_of(loaded.create_parser("manage.py", command)))


def _options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Those of the parser, and of the verbs that it takes."""
    yield from parser._option_string_actions
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from _options_of(verb)


@functools.cache
def _tracked() -> tuple[Path, ...]:
    """The files of the repository, the new ones that nothing ignores included."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout: what would be committed is not known")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return tuple(path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file())


def test_the_documents_are_there() -> None:
    missing = [name for name in ("README.md", "CHANGELOG.md", "docs/settings.md") if not (ROOT / name).is_file()]
    assert missing == []


@each_document
def test_no_table_is_cut_by_a_blank_line(document: Path) -> None:
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    assert re.findall(r"^\|.*\n\s*\n(\|(?!.*\n\|[ :-]*-).*)", text, re.M) == []


@each_document
def test_every_make_target_shown_exists(document: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    shown = {target for code in _code(document) for target in MAKE.findall(code)}
    assert shown - targets == set()


@each_document
def test_every_command_shown_exists_and_takes_the_options_shown(document: Path) -> None:
    wrong = []
    for code in _code(document):
        for command, rest in COMMAND.findall(code):
            if command not in get_commands():
                wrong.append(f"manage.py {command}")
            else:
                wrong += [
                    f"manage.py {command} {given}" for given in OPTION.findall(rest) if given not in _options(command)
                ]
    assert wrong == []


@each_document
def test_every_environment_variable_named_is_read_somewhere(document: Path) -> None:
    readers = [ROOT / "Makefile", ROOT / "marketspine" / "settings.py", *ROOT.glob("tests/**/*.py")]
    read = {name for path in readers for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    named = set(VARIABLE.findall(document.read_text(encoding="utf-8")))
    assert {name.removesuffix("_FILE") for name in named} - read == set()


def test_every_setting_is_documented() -> None:
    read = READ_FROM_ENVIRONMENT.findall((ROOT / "marketspine" / "settings.py").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert [name for name in read if not re.search(rf"\b{name}\b", page)] == []


def test_every_make_target_explains_itself() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    explained = set(re.findall(r"^([a-z-]+):.*  ## \S", makefile, re.M))
    measured = ("engines", "scale", "backfill", "recovery", "live", "admin", "readers")
    benches = {"bench", *(f"bench-{what}" for what in measured)}
    tests = {"test", "test-browser", "test-faults", "mutants"}
    targets = (
        {"help", "run", "serve", "lint", "types", "lock", "sbom", "screenshots", "demo-api", "clean"} | benches | tests
    )
    assert explained == set(TARGET.findall(makefile)) == targets


def test_ci_runs_what_a_user_runs() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-2:] == ["make test", "exec make test-browser"]


def test_no_file_names_a_path_of_one_machine() -> None:
    naming = [
        f"{_relative(path)}:{number}"
        for path in _tracked()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert naming == []


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_locks_name_no_index(lock: str) -> None:
    assert INDEX.findall((ROOT / lock).read_text(encoding="utf-8")) == []


def _promises_named(path: Path) -> Iterator[int]:
    """The numbers in the `promise` markers of a file's tests: on a function, on a class, or as `pytestmark`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
            yield from (number for argument in node.args if isinstance(number := ast.literal_eval(argument), int))


def test_every_promise_of_the_design_has_a_test_that_names_it() -> None:
    named = {number for path in ROOT.glob("tests/**/test_*.py") for number in _promises_named(path)}
    assert sorted(PROMISES - named) == []


def test_every_decision_has_a_number_of_its_own() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    titles = [page.read_text(encoding="utf-8").partition("\n")[0] for page in pages]
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == sorted(set(numbers))
    assert [title.partition(".")[0] for title in titles] == [f"# {number}" for number in numbers]


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.name)
def test_a_decision_says_whether_it_stands_and_what_replaced_it(decision: Path) -> None:
    status = STATUS.match(decision.read_text(encoding="utf-8"))

    assert status, "the line after the title is no status"
    assert status[2] is None or (decision.parent / status[2]).exists()


@each_document
def test_the_source_files_that_a_document_names_exist(document: Path) -> None:
    if document.parent.name == "adr":  # a decision speaks of its day
        return
    named = {name for span in _code(document) for name in SOURCE.findall(span)}
    known = [_relative(path) for path in _tracked()]
    assert not {name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in known)}
