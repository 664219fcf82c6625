"""The Dockerfile and compose.yaml say what they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.containers.composing import COMPOSE, DOCKERFILE, ROOT, copied, document, service, variables

OURS = ("migrate", "web", "worker-ingest", "worker-calc", "beat")
GIVEN = {"POSTGRES_PASSWORD": "pw1", "REDIS_PASSWORD": "pw2", "SECRET_KEY": "k"}


def tool(name: str) -> str:
    """A linter that the development requirements install."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or pytest.fail(f"{name} is not installed")


def test_compose_yaml_is_valid() -> None:
    checked = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    ran = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_dockerfile_has_no_lint() -> None:
    ran = subprocess.run([tool("hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_image_runs_as_nobody_in_particular_in_group_0() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert re.findall(r"^USER (.*)$", text, re.M) == ["1001:0"]
    assert "chgrp -R 0" in text
    assert "chmod -R g=u" in text


def test_what_the_image_runs_gets_its_signals() -> None:
    """The exec form: no shell stands between the orchestrator's SIGTERM and the process."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert re.findall(r"^(?:CMD|ENTRYPOINT) (.)", text, re.M) == ["["]
    assert re.findall(r"HEALTHCHECK .*CMD (.)", text) == ["["]
    assert all(isinstance(document()["services"][name]["command"], list) for name in OURS)


def test_no_secret_is_baked_in() -> None:
    baked = re.findall(
        r"(\w*(?:SECRET|PASSWORD|TOKEN|DATABASE_URL|BROKER)\w*)=", DOCKERFILE.read_text(encoding="utf-8")
    )
    assert baked == []


def test_only_what_the_image_needs_is_sent_to_the_builder() -> None:
    first, *rest = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert first == "*"
    assert {line.removeprefix("!") for line in rest if line.startswith("!")} == copied().keys()


def test_the_example_has_each_variable_of_compose_with_its_default_and_no_password() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert dict(re.findall(r"^([A-Z_]+)=(.*)$", example, re.M)) == {
        name: default or "" for name, default in variables().items()
    }


def test_what_the_containers_are_given_the_settings_read() -> None:
    """A misspelt variable would have no effect."""
    source = (ROOT / "marketspine" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r"env\.\w+\(\s*\"(\w+)\"", source))
    in_image = set(re.findall(r"\b(MARKETSPINE_\w+)=", DOCKERFILE.read_text(encoding="utf-8")))
    for name in OURS:
        given = {key.removesuffix("_FILE") for key in service(name, GIVEN).environment}
        assert (given | in_image) - read == set()


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "REDIS_PASSWORD"])
def test_a_password_has_no_default(name: str) -> None:
    with pytest.raises(KeyError, match=f"{name}: set it in .env"):
        service("web", GIVEN | {name: ""})


def services() -> dict[str, dict[str, Any]]:
    """The services by name."""
    found: dict[str, dict[str, Any]] = document()["services"]
    return found


def test_every_service_is_watched_and_restarted() -> None:
    assert services().keys() == {"postgres", "redis", *OURS}
    for name, read in services().items():
        assert read["restart"] == ("on-failure:5" if name == "migrate" else "unless-stopped"), name
        assert read["healthcheck"].get("test") or name == "migrate"


def test_the_product_starts_when_the_database_is_migrated() -> None:
    for name in OURS[1:]:
        assert services()[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services()["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_a_worker_that_is_stopped_gets_as_long_as_a_task_may_take() -> None:
    for name in ("worker-ingest", "worker-calc"):
        minutes = int(services()[name]["stop_grace_period"].removesuffix("m"))
        assert minutes * 60 > settings.CELERY_TASK_TIME_LIMIT


def test_the_image_and_compose_run_the_same_web() -> None:
    by_itself = re.findall(r"^CMD (\[.*?\])$", DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", ""), re.M)
    assert [json.loads(command) for command in by_itself] == [service("web", GIVEN).command]


def test_there_is_one_beat_and_each_queue_has_a_worker() -> None:
    commands = [" ".join(service(name, GIVEN).command) for name in OURS]
    assert sum(" beat " in command for command in commands) == 1
    queues = [command.split(" -Q ")[1].split()[0] for command in commands if " -Q " in command]
    assert sorted(",".join(queues).split(",")) == ["calc", "control", "ingest"]


def test_only_this_machine_reaches_the_web_and_nobody_the_servers() -> None:
    published = {name: read["ports"] for name, read in services().items() if "ports" in read}
    assert published == {"web": ["127.0.0.1:8000:8000"]}
