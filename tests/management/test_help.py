"""The help of each command: its own options, and examples that it takes."""

from __future__ import annotations

import shlex

import pytest
from django.core.management import get_commands, load_command_class

from pipeline.management.base import SpineCommand
from tests.deploy.commands import refused
from tests.management.calling import call

OURS = sorted(name for name, app in get_commands().items() if app == "pipeline")


@pytest.mark.parametrize("name", OURS)
def test_each_command_shows_examples_that_it_takes(name: str) -> None:
    command = load_command_class("pipeline", name)
    assert isinstance(command, SpineCommand)
    for words, _ in command.examples:
        line = shlex.split(words.partition(" && ")[0])
        assert (line[0], list(refused(line))) == (name, [])


def test_help_shows_the_options_of_the_command_alone() -> None:
    shown = call("readiness", "--help").out
    assert "--allow-provisional" in shown
    assert "python manage.py readiness && ./trade.sh\n" in shown
    assert "--pythonpath" not in shown
    assert call("readiness", "--pythonpath", ".", "--help").code == 0


def test_each_verb_has_a_help_of_its_own() -> None:
    shown = call("export", "market", "--help").out
    assert "--venue-kind" in shown
    assert "--symbol" not in shown
    assert "--into" not in call("backup", "create", "--help").out
    assert "--into" in call("backup", "drill", "--help").out


def test_a_choice_that_there_is_not_is_told_with_those_there_are() -> None:
    assert "(choose from 'ingest', 'normalize', 'calc', 'all')" in call("run_weekly", "--only-stage", "parse").err
    assert "(choose from 'missing', 'failed', 'captured', 'all')" in call("backfill", "--only", "some").err
