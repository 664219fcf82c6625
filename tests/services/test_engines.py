"""Each test has an empty, migrated database of the chosen engine behind `default`, and folders of its own."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, connections, transaction

from pipeline.models import Partition
from tests.support.engines import ENGINES, Engines, Ledger, wipe


def _partition() -> Partition:
    return Partition.objects.create(week_ending=dt.date(2025, 12, 26), tier="OTC")


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_starts_empty_and_counts_from_one(ledger: Ledger, turn: int) -> None:
    assert Partition.objects.count() == 0, f"turn {turn} on {ledger.engine} sees another test's rows"
    assert _partition().pk == 1


def test_wipe_parts_the_examples_of_one_test(ledger: Ledger) -> None:
    for _ in range(3):
        assert _partition().pk == 1
        wipe()
    assert Partition.objects.count() == 0, ledger.engine


def test_a_commit_is_a_commit(ledger: Ledger) -> None:
    committed: list[str] = []
    with transaction.atomic():
        transaction.on_commit(lambda: committed.append(ledger.engine))
        assert committed == []
    assert committed == [ledger.engine]


def test_a_thread_sees_what_the_test_committed(ledger: Ledger) -> None:
    _partition()
    seen: list[tuple[str, int]] = []

    def look() -> None:
        seen.append((connection.vendor, Partition.objects.count()))
        connections.close_all()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [(ledger.engine, 1)]


def test_a_process_reaches_the_same_database_by_its_url(ledger: Ledger) -> None:
    _partition()
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", COUNT_PARTITIONS],
        cwd=settings.BASE_DIR,
        env={"DATABASE_URL": ledger.url},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "1"


COUNT_PARTITIONS = "from pipeline.models import Partition; print(Partition.objects.count())"


def _migrations() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
        return [(app, name) for app, name in cursor.fetchall()]


def test_both_databases_are_built_by_the_same_migrations(engines: Engines) -> None:
    applied = []
    for engine in ENGINES:
        with engines.using(engine):
            applied.append(_migrations())
    assert applied[0] == applied[1]
    assert "pipeline" in {app for app, _ in applied[0]}


def test_default_is_given_back_after_the_test(engines: Engines) -> None:
    before = connections.settings["default"]
    with engines.using("postgresql"):
        assert connections.settings["default"] is not before
    assert connections.settings["default"] is before


def test_wipe_is_refused_where_no_test_database_is_in_use() -> None:
    with pytest.raises(RuntimeError, match="no test database is in use"):
        wipe()


def test_the_archive_is_a_folder_of_this_test(archive_dir: Path) -> None:
    name = default_storage.save("ab/cd", ContentFile(b"payload"))
    assert Path(default_storage.path(name)) == archive_dir / "ab" / "cd"
