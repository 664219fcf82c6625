"""The log in JSON: every line one object that says what is worked on, whoever writes it, and gives nothing away."""

from __future__ import annotations

import http.client
import json
import logging
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from django.conf import settings as configured
from pytest_django import Settings

from marketspine import logs
from tests.containers.composing import service
from tests.management.calling import environment, finish, start_in
from tests.management.publications import DAY, WEEK, publish_week
from tests.services.test_slow_clients import GIVEN, free_port, until_it_answers
from tests.support import warm
from tests.support.engines import Ledger

PATIENCE = 120
PASSWORD = "correct-horse-battery"


def told(message: str, *words: object, error: BaseException | None = None, **extra: Any) -> Any:
    """The object of the line that a call of the log would write."""
    failed = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("pipeline.x", logging.INFO, __file__, 1, message, words, failed)
    vars(record).update(extra)
    line = logs.Json().format(record)
    assert "\n" not in line
    assert len(line.encode()) <= logs.MOST_BYTES
    return json.loads(line)


def test_a_line_says_when_who_and_what_is_worked_on() -> None:
    with logs.bound(run_id=7, tier="OTC"), logs.bound(attempt=2):
        line = told("%s\nforged", "three rows", event="partition_done", rows=3, data={"not": "plain"})
    assert line["message"] == "three rows\nforged"
    assert {
        name: line[name] for name in ("level", "logger", "service", "run_id", "tier", "attempt", "event", "rows")
    } == {
        "level": "INFO",
        "logger": "pipeline.x",
        "service": "marketspine",
        "run_id": 7,
        "tier": "OTC",
        "attempt": 2,
        "event": "partition_done",
        "rows": 3,
    }
    assert line["ts"].endswith("Z")
    assert "data" not in line
    assert "run_id" not in told("after it")


def test_an_error_has_its_place_and_no_values_of_variables() -> None:
    password = PASSWORD
    try:
        raise ValueError(f"not taken: {len(password)}")
    except ValueError as error:
        line = told("failed", error=error)
    assert (line["error_type"], line["error"]) == ("ValueError", "not taken: 21")
    assert line["stack"][-1].endswith("test_an_error_has_its_place_and_no_values_of_variables")
    assert PASSWORD not in json.dumps(line)


def test_no_secret_of_the_settings_is_written(settings: Settings) -> None:
    settings.SECRETS = logs.maskable({PASSWORD, "a-longer-" + PASSWORD, "", "abc"})
    assert told("it answered %s to abc", PASSWORD)["message"] == "it answered *** to abc"
    record = logging.LogRecord("pipeline", logging.INFO, "", 0, f"a-longer-{PASSWORD}", (), None)
    assert logs.Plain("%(message)s").format(record) == "***"


def test_a_line_that_would_be_split_is_cut_and_still_an_object() -> None:
    line = told("é" * 100_000, bytes=1)
    assert line["message"].endswith("...")
    many = told("x", error=None, **dict.fromkeys([f"field{n}" for n in range(20)], "y" * 5_000))
    assert (many["cut"], many["message"]) == (True, "x")


def test_a_thread_says_what_it_was_given_only() -> None:
    seen: list[dict[str, object]] = []
    with logs.bound(run_id=7):
        for work in (lambda: seen.append(logs.context()), logs.carried(lambda: seen.append(logs.context()))):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
    assert ["run_id" in fields for fields in seen] == [False, True]


def objects(text: str) -> list[dict[str, Any]]:
    """Each line; JSONDecodeError for one that is no object."""
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_of_a_run_is_an_object_with_the_runs_number(ledger: Ledger, source_dir: Path) -> None:
    publish_week(source_dir)
    told = {"MARKETSPINE_LOG_FORMAT": "json", "MARKETSPINE_LOG_LEVEL": "INFO"}
    words = ("manage.py", "run_weekly", "--weeks", WEEK, "--run-date", DAY)
    ran = finish(start_in(environment(ledger.url) | told, *words))
    assert ran.code == 0, ran.err
    lines = objects(ran.err)
    events = [line.get("event") for line in lines]
    of_run = lines[events.index("run_started") : events.index("run_ended") + 1]
    assert {line.get("run_id") for line in of_run} == {1}
    done = [line for line in of_run if line.get("event") == "partition_done"]
    assert {(line["tier"], line["week_ending"], line["outcome"]) for line in done} == {
        (tier, f"{WEEK}", "INGESTED") for tier in ("NMS_TIER_1", "NMS_TIER_2", "OTC")
    }


def test_gunicorn_tells_requests_but_no_probes_and_nothing_behind_the_question_mark(
    ledger: Ledger, tmp_path: Path
) -> None:
    port = free_port()
    words = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in service("web", GIVEN).command]
    words += ["--logger-class", "marketspine.web_log.WebLogger"]
    more = {"MARKETSPINE_LOG_FORMAT": "json", "SECRET_KEY": "k" * 50}
    with (tmp_path / "log").open("w") as log:
        web = warm.start(
            ["-m", *words],
            cwd=configured.BASE_DIR,
            env=environment(ledger.url) | more,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        until_it_answers(port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", f"/admin/login/?next={PASSWORD}")
        assert connection.getresponse().status == 200
        web.send_signal(signal.SIGTERM)
        assert web.wait(PATIENCE) == 0
    text = (tmp_path / "log").read_text()
    told = [line for line in objects(text) if line.get("event") == "request_answered"]
    assert [(line["http_path"], line["http_status"], line["process"]) for line in told] == [
        ("/admin/login/", 200, "web")
    ]
    assert PASSWORD not in text
