"""Fixtures of all tests: the ledger on both databases, real servers, folders of the test's own, no network.

With parallel workers the servers start once, before the workers; without, when a test first needs one.
"""

from __future__ import annotations

import gc
import os
import random
import secrets
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
import pytest
import redis
from django.conf import settings as configured
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from pytest_django import DjangoDbBlocker, Settings

from pipeline.engine import waiting
from pipeline.resilience import connections
from tests.faults.extent import EVERYTHING
from tests.support import checked_once, network, servers
from tests.support.beginnings import bring_about
from tests.support.engines import ENGINES, Begin, Engines, Ledger

network.block()
checked_once.remember()

# Randomised tests try the same examples on every machine; `--hypothesis-profile explore` tries new ones, and prints
# what reproduces a failure. A test's fixtures live through all its examples: `tests.support.engines.wipe` parts them.
hypothesis.settings.register_profile(
    "fixed",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("explore", hypothesis.settings.get_profile("fixed"), derandomize=False)
hypothesis.settings.load_profile("fixed")

# Folders of tests to which either database will do. Those of the ledger itself, its locks and its claims run on each.
EITHER_DATABASE = (
    "admin",
    "api",
    "capture",
    "engine",
    "faults",
    "integrity",
    "keeping",
    "live_source",
    "management",
    "metrics",
    "notices",
    "operations",
    "readers",
    "resilience",
    "review",
    "runs",
    "vintages",
    "weeks",
)

# Rooms, and modules beside them, with tests of many seconds. They come first: the last minute of a run on several workers
# is to be of short ones, which can be shared.
LONG = ("test_tour.py", "test_history.py", "test_engines_agree.py", "live_source", "faults", "services", "deploy")

REAL_FILES = Path(configured.BASE_DIR).parent / "shared" / "data" / "real"


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """A terminated run stops its servers, as an interrupted one does.

    A shell has what it starts in the background ignore SIGINT, and what that starts, too: tests send it.
    """
    if not _is_worker(config):
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Runs before xdist starts its workers, which inherit the servers' addresses."""
    if not _is_worker(session.config) and session.config.getoption("dist", "no") != "no":
        servers.database_url()
        servers.redis_url()


def pytest_unconfigure() -> None:
    """Runs in each process, and after the workers have ended in the one that started the servers."""
    servers.stop()


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """pytest-django's own database fixtures know one database: refuse them."""
    pytest.fail("use the `ledger` fixture, which runs the test on SQLite and on PostgreSQL")


@pytest.fixture(scope="session")
def engines(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Engines]:
    """For a test that compares the databases: `with engines.using("sqlite"): ...`, then "postgresql"."""
    own = tmp_path_factory.mktemp("ledgers")
    shared = own.parents[1] if _is_worker(request.config) else own.parent  # each worker has a folder of its own there
    built = Engines(own, shared, django_db_blocker)
    yield built
    built.drop()


@pytest.fixture(params=ENGINES)
def ledger(request: pytest.FixtureRequest, engines: Engines) -> Iterator[Ledger]:
    """The migrated, empty database behind `default`; the test runs once on each engine."""
    with engines.using(request.param) as chosen:
        yield chosen


@pytest.fixture
def begin(ledger: Ledger, archive_dir: Path, source_dir: Path, copies: Path) -> Begin:
    """For a beginning that tests share: `begin(build)` leaves ledger and folders as `build(source_dir)` does.

    It is built once for each database, and from then on copied.
    """
    return lambda build: bring_about(build, ledger, (source_dir, archive_dir), copies)


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the folders of shared beginnings are kept."""
    return tmp_path_factory.mktemp("beginnings")


@pytest.fixture(scope="session")
def redis_database(request: pytest.FixtureRequest) -> str:
    """The URL of this worker's database on the Redis server: one that holds nothing, since tests empty it."""
    worker = getattr(request.config, "workerinput", {"workerid": "gw0"})["workerid"]
    url = urlsplit(servers.redis_url())._replace(path=f"/{worker.removeprefix('gw')}").geturl()
    with redis.Redis.from_url(url) as client:
        if client.dbsize():
            pytest.fail("the Redis database that TEST_REDIS_URL gives this worker is not empty")
    return url


@pytest.fixture
def redis_url(redis_database: str) -> Iterator[str]:
    """The URL of an empty Redis database, emptied again after the test."""
    yield redis_database
    with redis.Redis.from_url(redis_database) as client:
        client.flushdb()


@pytest.fixture(autouse=True)
def archive_dir(settings: Settings, tmp_path: Path) -> Path:
    """The folder that is Django's default storage during the test; made when something is first saved."""
    path = tmp_path / "archive"
    settings.MARKETSPINE_ARCHIVE_DIR = str(path)
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(path)},
        },
    }
    return path


@pytest.fixture(autouse=True)
def _one_thread(settings: Settings) -> None:
    """The embedded engine of a command called in this process has one thread: partitions are done in the plan's order."""
    settings.MARKETSPINE_THREADS = 1


@pytest.fixture(autouse=True)
def _prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command called in this process soon sees that its run has ended: a test's run takes less than one long look."""
    monkeypatch.setattr(waiting, "LONGEST_POLL", 0.1)
    monkeypatch.setattr(connections, "POLL_SECONDS", 0.01)


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password is hashed as in production, in fewer rounds: a third of a second each, many hundred times."""
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 100)


@pytest.fixture
def few_rows(settings: Settings) -> None:
    """For tests of a handful of rows, of which any change is a large share: nothing is implausible."""
    settings.MARKETSPINE_MAX_SAME_SHARE = settings.MARKETSPINE_MAX_RESTATED_SHARE = 100.0
    settings.MARKETSPINE_PLAUSIBLE_ROWS = settings.MARKETSPINE_PLAUSIBLE_SHARES = (0.0, 1e12)
    settings.MARKETSPINE_EXPECTED_PARTS = []


@pytest.fixture
def source_dir(settings: Settings, tmp_path: Path) -> Path:
    """The empty folder that the `files` source reads during the test."""
    path = tmp_path / "source"
    path.mkdir()
    settings.MARKETSPINE_SOURCE_DIR = str(path)
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of FINRA's real files, kept beside the checkout and not in it."""
    if not REAL_FILES.is_dir():
        pytest.skip("FINRA's real files are not in ../shared/data/real")
    return REAL_FILES


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--shuffle` runs the tests in an order drawn by chance, `--shuffle=SEED` in that one again.

    Parallel workers parse the same arguments, and get what was drawn by the environment: xdist demands one order of all.
    """
    drawn = os.environ.setdefault("SHUFFLE_SEED", str(secrets.randbelow(10**9)))
    parser.addoption("--shuffle", nargs="?", const=drawn, metavar="SEED", help="run the tests in random order")


def pytest_report_header(config: pytest.Config) -> str | None:
    """The seed, to have the same order again."""
    seed = config.getoption("shuffle")
    return f"order: --shuffle={seed}" if seed else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the databases by turns where either will do; long tests first, or the order that was asked for."""
    if not EVERYTHING and not _names_one(config):
        _take_turns(config, items)
    if EVERYTHING:
        _give_time(items)
    items.sort(key=lambda item: LONG.index(_room(item)) if _room(item) in LONG else len(LONG))
    if config.getoption("shuffle"):
        random.Random(config.getoption("shuffle")).shuffle(items)


def pytest_collection_finish() -> None:
    """What is there by now lives to the end: the garbage collector passes it over."""
    gc.collect()
    gc.freeze()


def _names_one(config: pytest.Config) -> bool:
    """Whether a database, or a test with its parameters, is asked for by name."""
    return any(engine in config.getoption("keyword") for engine in ENGINES) or any("[" in arg for arg in config.args)


def _take_turns(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of each test, or case of one, that may have either database, leave the one whose turn it is in its module."""
    cases: dict[Path, dict[str, list[pytest.Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        if engine := _of_either(item):
            cases[item.path][item.nodeid.replace(engine, "-")].append(item)
    left_out = set[pytest.Item]()
    for turns in cases.values():
        for turn, (first, *second) in enumerate(turns.values()):
            left_out.update([first] if second and turn % 2 else second)
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _of_either(item: pytest.Item) -> str:
    """The item's database, where the other one would do as well."""
    callspec = getattr(item, "callspec", None)
    engine = str(callspec.params.get("ledger", "")) if callspec else ""
    is_either = _room(item) in EITHER_DATABASE
    return engine if engine in ENGINES and is_either and not item.get_closest_marker("each_database") else ""


def _give_time(items: list[pytest.Item]) -> None:
    """A test at its full extent takes what it takes; one that hangs ends all the same."""
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))


def _room(item: pytest.Item) -> str:
    """The folder of the tests that the item is in, or the module beside them."""
    return item.path.relative_to(Path(__file__).parent).parts[0]
