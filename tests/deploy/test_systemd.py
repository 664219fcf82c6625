"""The systemd units, looked at by systemd itself: a misspelt key is a line on stderr, and no more than that."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from tests.deploy.commands import refused

UNITS = Path(settings.BASE_DIR) / "deploy" / "systemd"
LIBRARY = Path("/usr/lib/systemd/system")
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
CONFINED = [name for name in SERVICES if "failed" not in name]
EXPOSURE = 20  # tenths: "OK" begins below 50, a unit without any confinement has 96
COMMAND = "/opt/marketspine/.venv/bin/python manage.py "


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that has systemd's own units, ours where the documents have them copied, and the programs that they start."""
    if shutil.which("systemd-analyze") is None or not LIBRARY.is_dir():
        pytest.skip("systemd is not installed: the units cannot be looked at")
    root = tmp_path_factory.mktemp("machine")
    shutil.copytree(LIBRARY, root / "usr/lib/systemd/system", symlinks=True)
    shutil.copytree(UNITS, root / "etc/systemd/system")
    for program in (".venv/bin/python", "deploy/systemd/marketspine-failed"):
        path = root / "opt/marketspine" / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n", encoding="utf-8")
        path.chmod(0o755)
    return root


def analyze(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    verb, *rest = arguments
    return subprocess.run(
        ["systemd-analyze", verb, f"--root={root}", *rest], capture_output=True, text=True, check=False
    )


def verify(root: Path) -> tuple[int, str]:
    names = [name.replace("@.", "@x.") for name in (*SERVICES, *TIMERS)]
    ran = analyze(root, "verify", "--man=no", *names)
    return ran.returncode, ran.stderr


def test_systemd_has_nothing_to_say_against_the_units(machine: Path) -> None:
    assert verify(machine) == (0, "")


def test_a_misspelt_key_would_be_seen(machine: Path, tmp_path: Path) -> None:
    shutil.copytree(machine, tmp_path / "machine", symlinks=True)
    unit = tmp_path / "machine/etc/systemd/system/marketspine-.service.d/10-sandbox.conf"
    unit.write_text(unit.read_text(encoding="utf-8").replace("PrivateTmp=", "PrivateTemp="), encoding="utf-8")
    assert re.search(r"Unknown key (name )?'PrivateTemp'", verify(tmp_path / "machine")[1])


def test_a_service_is_confined(machine: Path) -> None:
    for name in CONFINED:
        ran = analyze(machine, "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", name)
        assert ran.returncode == 0, ran.stdout[-200:] + ran.stderr


@pytest.mark.parametrize("name", CONFINED)
def test_a_service_starts_a_command_that_there_is(name: str) -> None:
    text = (UNITS / name).read_text(encoding="utf-8")
    commands = re.findall(r"^Exec\w+=(.*)$", text, re.M)
    assert commands
    for command in commands:
        assert command.startswith(COMMAND)
        assert list(refused(command.removeprefix(COMMAND).split())) == []
    if name != "marketspine-metrics.service":  # it fails for as long as the ledger is away, each five minutes
        assert "OnFailure=marketspine-failed@%n.service" in text


def test_each_timer_has_its_service_and_the_job_its_hour_in_new_york() -> None:
    assert {name.replace(".timer", ".service") for name in TIMERS} <= {*SERVICES}
    weekly = (UNITS / "marketspine-weekly.timer").read_text(encoding="utf-8")
    assert "OnCalendar=Mon..Fri 10:30 America/New_York\n" in weekly
    assert "Persistent=true\n" in weekly


def test_a_service_gets_as_long_to_end_as_a_task_may_take() -> None:
    shared = (UNITS / "marketspine-.service.d" / "10-sandbox.conf").read_text(encoding="utf-8")
    (minutes,) = re.findall(r"^TimeoutStopSec=(\d+)min$", shared, re.M)
    assert int(minutes) * 60 >= settings.CELERY_TASK_TIME_LIMIT + 60
    assert "KillMode=mixed" in shared


def test_the_example_of_the_settings_names_settings() -> None:
    example = (UNITS / "env.example").read_text(encoding="utf-8")
    names = re.findall(r"^#?([A-Z_]+)=\S+$", example, re.M)
    assert {name.removesuffix("_FILE") for name in names} <= settings.READ_FROM_ENVIRONMENT
    assert {"DATABASE_URL", "SECRET_KEY_FILE", "MARKETSPINE_RUN_DIR"} <= {*names}


def test_a_failed_unit_is_told_by_mail(tmp_path: Path) -> None:
    """`sendmail` is one that keeps what it is given: a machine of the tests has none, nor a systemd that runs."""
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f"#!/bin/sh\ncat > {tmp_path}/mail\n", encoding="utf-8")
    sendmail.chmod(0o755)
    script = [str(UNITS / "marketspine-failed"), "marketspine-weekly.service"]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    ran = subprocess.run(script, env=os.environ | path, capture_output=True, text=True, check=True)

    assert ran.stdout == "marketspine-weekly.service failed: journalctl -u marketspine-weekly.service\n"
    mail = (tmp_path / "mail").read_text(encoding="utf-8")
    assert re.match(r"To: root\nSubject: \S+: marketspine-weekly.service failed\n\n", mail)
