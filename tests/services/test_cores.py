"""polars' threads: a parent that has started them may not fork, and processes that work side by side divide the cores."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars
import pytest
from django.conf import settings

from marketspine import cores
from tests.management.calling import environment

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the threads of a process are read from /proc")
PATIENCE = 120
FRAME = "polars.DataFrame({'a': [2, 1]})"
HARMLESS = ["polars.__version__", FRAME, f"{FRAME}.to_dicts()", "polars.col('a') + 1"]
HARMFUL = [
    "polars.thread_pool_size()",
    f"{FRAME}.with_columns(polars.col('a') + 1)",
    f"{FRAME}['a'].value_counts()",
    f"{FRAME}.sort('a')",
    f"{FRAME}.write_parquet('b.parquet')",
    "polars.scan_parquet('a.parquet').collect_schema()",
    "polars.read_parquet('a.parquet')",
]
EACH_USE = """
import json, os, sys, time, polars
from marketspine import cores
seen = []
for use in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        eval(use)
        give_up = time.monotonic() + float(sys.argv[2])  # a thread has its name a moment after it has begun
        while not cores.polars_was_used() and time.monotonic() < give_up:
            time.sleep(0.01)
        os._exit(cores.polars_was_used())
    seen.append(bool(os.waitpid(child, 0)[1]))
print(json.dumps(seen))
"""
USED = "import polars; polars.DataFrame({'a': [2, 1]}).sort('a')"
WORKER = "from marketspine.celery import app; app.worker_main(['worker', '-P', {pool!r}, '-c', '2', '-n', 'w@test'])"
WEB = "from gunicorn.app.wsgiapp import run; run()"
TELL = """
import marketspine.celery, polars
from celery.signals import worker_init
def tell(**_):
    print(polars.thread_pool_size())
    raise SystemExit(0)
worker_init.connect(tell, weak=False)
"""
IMPORT_ALL = """
import importlib, pkgutil
import marketspine.celery, marketspine.wsgi
import pipeline
from marketspine import cores
for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
    importlib.import_module(module.name)
print(cores.polars_was_used())
"""
SHARED = """
import os, polars
from marketspine import cores
for cores_and_processes in ((6, 1), (6, 4), (2, 8)):
    if not os.fork():
        cores.share(*cores_and_processes)
        print(polars.thread_pool_size(), flush=True)
        os._exit(0)
    os.wait()
"""
KEPT = """
import manage, os, sys
sys.argv = ["manage.py", "check"]
manage.main()
print(os.environ["_RJEM_MALLOC_CONF"])
"""
FORKED = """
import multiprocessing, polars
def work(number):
    return polars.DataFrame({"a": range(number)}).lazy().filter(polars.col("a") > 0).sort("a").collect().height
with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=2) as pool:
    print(pool.map_async(work, range(1, 9), chunksize=1).get(30))
"""


def python(code: str, *arguments: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd or settings.BASE_DIR,
        env=environment("sqlite://:memory:") | {"PYTHONPATH": str(settings.BASE_DIR)} | more,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def seen_after(uses: list[str], seconds: int, cwd: Path) -> list[bool]:
    seen: list[bool] = json.loads(python(EACH_USE, json.dumps(uses), str(seconds), cwd=cwd).stdout)
    return seen


@linux_only
def test_each_use_after_which_forks_hang_is_seen(tmp_path: Path) -> None:
    polars.DataFrame({"a": [1]}).write_parquet(tmp_path / "a.parquet")
    assert seen_after(HARMFUL, PATIENCE, tmp_path) == [True] * len(HARMFUL)


@linux_only
def test_what_forks_survive_is_no_use(tmp_path: Path) -> None:
    assert seen_after(HARMLESS, 0, tmp_path) == [False] * len(HARMLESS)


@linux_only
def test_no_module_of_the_product_uses_polars_when_it_is_imported() -> None:
    assert python(IMPORT_ALL).stdout.split() == ["False"]


def test_what_a_command_frees_is_kept_for_ten_seconds_of_reading() -> None:
    """What is said last holds: polars says 0.5 s first, and a person may say something else before."""
    assert python(KEPT).stdout.strip().endswith(f",{cores.KEPT_MEMORY}")
    assert python(KEPT, _RJEM_MALLOC_CONF="narenas:1").stdout.strip().endswith(",narenas:1")


def test_children_of_a_parent_that_only_imported_polars_work() -> None:
    assert python(FORKED).stdout.strip() == str(list(range(8)))


@linux_only
def test_a_worker_whose_parent_has_used_polars_does_not_begin() -> None:
    ended = python(f"{USED}; {WORKER.format(pool='prefork')}")
    assert (ended.returncode, cores.REFUSED in ended.stderr) == (2, True)


@linux_only
def test_a_web_whose_parent_has_used_polars_does_not_begin() -> None:
    words = service_words("127.0.0.1:0")
    ended = python(f"{USED}; {WEB}", *words)
    assert (ended.returncode, cores.REFUSED in ended.stderr) == (3, True)


def service_words(address: str) -> tuple[str, ...]:
    return ("marketspine.wsgi", "--bind", address, "--worker-class", "marketspine.web_worker.WebWorker")


@pytest.mark.parametrize(("pool", "threads"), [("prefork", "3"), ("threads", "6")])
def test_processes_of_a_worker_divide_the_cores_threads_share_them(pool: str, threads: str) -> None:
    ended = python(f"{TELL}\n{WORKER.format(pool=pool)}", MARKETSPINE_CORES="6")
    assert ended.stdout.strip() == threads


def test_a_process_has_one_thread_at_least() -> None:
    """polars is asked, not its environment, which it reads when it is imported."""
    assert python(SHARED).stdout.split() == ["6", "1", "1"]
