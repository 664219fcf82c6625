"""The wrapper of cron's jobs, run as cron runs it: what it prints is mailed, what it ends with is the command's code."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from pipeline.finra.calendar import last_fridays, market_today
from pipeline.finra.samples import Size, publish
from tests.deploy.commands import refused
from tests.support.engines import Engines

CRON = Path(settings.BASE_DIR) / "deploy" / "cron"
JOB = CRON / "marketspine-job"
NEW_YORK = ZoneInfo("America/New_York")


class Cron:
    """Runs the wrapper as cron does: a bare environment, no terminal, at an instant of its own."""

    def __init__(self, folder: Path, job: Path = JOB) -> None:
        self._job = job
        self.folder = folder
        self.file = folder / "marketspine.env"
        self.state = folder / "state"
        programs = folder / "bin"
        programs.mkdir()
        clock = programs / "date"
        clock.write_text(f'#!/bin/sh\nexec {shutil.which("date")} -d "@$NOW" "$@"\n', encoding="utf-8")
        clock.chmod(0o755)
        self._path = f"{programs}:/usr/bin:/bin"

    def run(self, *arguments: str, at: str = "2026-11-23 10:30") -> tuple[int, str]:
        """The exit code, and what cron would mail; `at` is the clock of New York."""
        now = datetime.fromisoformat(at).replace(tzinfo=NEW_YORK)
        environment = {
            "PATH": self._path,
            "HOME": str(self.folder),
            "LOGNAME": "marketspine",
            "NOW": f"{now.timestamp():.0f}",
            "MARKETSPINE_ENV": str(self.file),
            "MARKETSPINE_JOB_DIR": str(self.state),
        }
        ran = subprocess.run(
            ["bash", str(self._job), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ran.returncode, ran.stdout


@pytest.fixture
def cron(tmp_path: Path) -> Cron:
    """With settings that name nothing yet."""
    made = Cron(tmp_path)
    made.file.write_text("# none\n", encoding="utf-8")
    return made


@pytest.fixture
def cron_alone(tmp_path: Path) -> Cron:
    """The wrapper beside a command that does nothing: what it calls, and when."""
    deployed = tmp_path / "elsewhere" / "deploy"
    (deployed / "cron").mkdir(parents=True)
    command = deployed / "marketspine"
    command.write_text("#!/bin/sh\n", encoding="utf-8")
    command.chmod(0o755)
    return Cron(tmp_path, Path(shutil.copy(JOB, deployed / "cron")))


def test_the_shell_scripts_have_no_lint() -> None:
    lint = shutil.which("shellcheck") or pytest.skip("shellcheck is not installed")
    scripts = [JOB, *sorted(CRON.parent.rglob("*.sh")), *sorted(Path(__file__).parent.glob("*.sh"))]
    ran = subprocess.run([lint, *map(str, scripts)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_crontab_is_one() -> None:
    crontab = shutil.which("crontab") or pytest.skip("crontab is not installed")
    ran = subprocess.run(
        [crontab, "-n", str(CRON / "marketspine.crontab")], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr


def test_what_is_good_is_silent_and_what_is_not_is_mailed_with_its_code(
    cron: Cron, engines: Engines, source_dir: Path
) -> None:
    with engines.using("sqlite") as ledger:
        folders = f"MARKETSPINE_ARCHIVE_DIR={cron.folder}/archive\nMARKETSPINE_SOURCE_DIR={source_dir}\n"
        cron.file.write_text(f"# of this test\n\nDATABASE_URL={ledger.url}\n{folders}NOT A LINE", encoding="utf-8")

        code, mailed = cron.run("run_weekly", "--lookback-weeks", "1")
        assert code == 1
        assert "LATE" in mailed
        assert mailed.endswith("marketspine-job: run_weekly --lookback-weeks 1 ended with 1\n")

        publish(source_dir, weeks=last_fridays(9, market_today()), seed=7, size=Size.SMALL)
        assert cron.run("run_weekly", "--lookback-weeks", "1") == (0, "")


def test_a_due_job_runs_once_a_day_from_its_hour_in_new_york_on(cron_alone: Cron) -> None:
    def due(at: str) -> tuple[int, bool]:
        """The exit code, and whether the command ran."""
        (cron_alone.state / "version.began").unlink(missing_ok=True)
        code, _ = cron_alone.run("--due", "12345", "10:30", "version", at=at)
        return code, (cron_alone.state / "version.began").exists()

    assert due("2026-11-23 10:15") == (0, False)
    assert due("2026-11-23 10:30") == (0, True)
    assert due("2026-11-23 10:45") == (0, False)
    assert due("2026-11-24 16:45") == (0, True), "the machine was off in the morning"
    assert due("2026-11-28 10:30") == (0, False), "a Saturday"
    assert due("2027-03-15 10:30") == (0, True), "in summer time, of which the machine knows nothing"


def test_what_could_not_run_is_tried_again_and_told_once_a_day(cron: Cron) -> None:
    def broken(at: str) -> tuple[int, bool]:
        """The exit code, and whether a mail goes out."""
        code, mailed = cron.run("--due", "12345", "10:30", "run_weekly", at=at)
        return code, "MARKETSPINE_LOOKBACK_WEEKS is 'six'" in mailed and "run_weekly ended with 2" in mailed

    cron.file.write_text("MARKETSPINE_LOOKBACK_WEEKS=six\n", encoding="utf-8")
    assert broken("2026-11-23 10:30") == (2, True)
    assert broken("2026-11-23 10:45") == (2, False)
    assert broken("2026-11-24 10:30") == (2, True)
    assert not (cron.state / "run_weekly.done").exists()


def test_one_of_a_command_runs_at_a_time(cron_alone: Cron) -> None:
    cron_alone.state.mkdir()
    (cron_alone.state / "version.began").write_text("it began 2026-11-23 10:30:00 UTC\n", encoding="utf-8")
    with (cron_alone.state / "version.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cron_alone.run("version") == (
            75,
            "marketspine-job: version still runs: it began 2026-11-23 10:30:00 UTC\n",
        )
        assert cron_alone.run("--due", "1", "10:30", "version") == (0, "")
    assert cron_alone.run("version") == (0, "")


def test_every_line_of_the_crontab_calls_the_wrapper_with_a_command_that_there_is() -> None:
    lines = (CRON / "marketspine.crontab").read_text(encoding="utf-8").splitlines()
    jobs = [line.split("$JOB ")[1].split() for line in lines if line[:1] in "*0123456789" and line]
    assert os.access(JOB, os.X_OK)
    assert ["--due", "12345", "10:30", "run_weekly"] in jobs
    commands = [job[3:] if job[0] == "--due" else job for job in jobs]
    assert [problem for command in commands for problem in refused(command)] == []
