"""The seven questions of docs/readers.md: each page, command and address of its table, tried as it stands there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client

from pipeline.api.datasets import SOURCES
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import FeedCounter
from tests.api.asking import Script, body, token_of
from tests.management.calling import call
from tests.support.engines import Ledger
from tests.vintages.frames import stored

WEEK = date(2026, 10, 23)
FIRST_KNOWN = datetime(2026, 10, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS = [("BRK.B", "UBSA", "60", 6), ("BRK.B", "A firm", "40", 2)]
CODE = re.compile(r"`([^`]+)`")


def questions() -> list[list[str]]:
    """The cells of each line of the table."""
    text = (Path(settings.BASE_DIR) / "docs" / "readers.md").read_text(encoding="utf-8")
    table = text.partition("## Seven questions")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


@pytest.fixture
def _ledger(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two weeks of three tiers, the newer one restated in October, behind the 8,840th position of the feed."""
    FeedCounter.objects.raise_to(8_840 - 6)
    for week in (WEEK - 7 * DAY, WEEK):
        for tier in Tier:
            stored(ROWS, FIRST_KNOWN, key=PartitionKey(week, tier))
    stored([("BRK.B", "UBSA", "90", 6), *ROWS[1:]], FIRST_KNOWN + DAY, key=PartitionKey(WEEK, Tier.OTC))
    monkeypatch.chdir(tmp_path)
    with time_machine.travel(datetime(2026, 11, 20, 15, tzinfo=UTC), tick=False):
        yield


@pytest.mark.usefixtures("_ledger")
def test_the_example_of_every_endpoint_has_an_answer() -> None:
    user = User.objects.create_user("vera")
    user.groups.add(Group.objects.get(name="Viewer"))
    script = Script(token_of(user))
    answers = {one.path: script.get(one.path, **dict(parse_qsl(one.example))) for one in SOURCES}
    assert {path: answer.content for path, answer in answers.items() if answer.status_code != HTTPStatus.OK} == {}


@pytest.mark.usefixtures("_ledger")
def test_seven_questions_are_answered_by_a_page_a_command_and_an_address() -> None:
    user = User.objects.create_user("vera", is_staff=True)
    user.groups.add(Group.objects.get(name="Viewer"))
    browser, script = Client(), Script(token_of(user))
    browser.force_login(user)
    asked = questions()
    for question, clicks, commands, addresses in asked:
        page, command, address = CODE.findall(clicks)[-1], CODE.findall(commands)[0], urlsplit(addresses.strip("`"))
        assert browser.get(page).status_code == HTTPStatus.OK, question
        answer = script.get(f"/api/v1{address.path}", **{**dict(parse_qsl(address.query)), "format": "csv"})
        assert answer.status_code == HTTPStatus.OK, question
        name, *options = shlex.split(command)
        if name == "export":
            call(name, *options, "--format", "csv", "--out", "answer.csv", "--force")
            assert (question, Path("answer.csv").read_bytes()) == (question, content := body(answer))
            assert content.count(b"\n") > 1, question
        else:
            assert (name, call(name, *options).code) == ("readiness", 1)  # never judged: it may not be used
    assert len(asked) == 7
