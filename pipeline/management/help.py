"""The help of a command: its own options, examples beneath, and for a command of several verbs a help for each."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser, DjangoHelpFormatter

from pipeline.finra.plain_text import capitalized

VERBOSE = 2
OF_DJANGO = frozenset(
    {"--version", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color", "--skip-checks"}
)
JSON_HELP = "print one JSON document and nothing else on stdout"

Example = tuple[str, str]  # the words of a command line behind manage.py, and what they do


class HelpFormatter(DjangoHelpFormatter):
    """Wraps each line of a text, but those that are set in: an example is pasted as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n".join(line if line.startswith(" ") else fill(line, width, indent) for line in text.splitlines())


def below(examples: Sequence[Example], more: str = "") -> str:
    """The text below the options."""
    lines = [line for words, told in examples for line in (f"  python manage.py {words}", f"      {told}")]
    return "\n".join(["examples:" if len(examples) > 1 else "example:", *lines, *([f"\n{more}"] if more else [])])


def show_own_options(parser: CommandParser) -> None:
    """Leave Django's options out of the help, in which they are half of the lines: they work all the same."""
    for action in parser._actions:
        if action.dest == "verbosity":
            _let_v_stand_alone(action)
        elif OF_DJANGO.intersection(action.option_strings):
            action.help = argparse.SUPPRESS


def _let_v_stand_alone(action: argparse.Action) -> None:
    """Let `-v` mean `-v 2`: Django's takes a level, everybody else's stands alone."""
    action.nargs, action.const, action.metavar = "?", VERBOSE, "LEVEL"
    action.help = "more in the log, on stderr; `-v 3` all of it"


def add_verb(verbs: Any, name: str, told: str, examples: Sequence[Example] = ()) -> CommandParser:
    """The parser of a verb; `--json` and `-v` may stand behind it, too. `told` begins with a small letter."""
    parser: CommandParser = verbs.add_parser(
        name,
        help=told.replace("%", "%%"),
        description=f"{capitalized(told)}.",
        epilog=below(examples) if examples else None,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=JSON_HELP)
    verbosity = parser.add_argument(
        "-v", "--verbosity", type=int, choices=range(VERBOSE + 2), default=argparse.SUPPRESS
    )
    _let_v_stand_alone(verbosity)
    return parser
