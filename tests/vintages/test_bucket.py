"""Payloads and vintage files in a bucket: a real S3 server, what misbehaves before it, what the product makes of that."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff
from django.conf import settings as configured
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from pytest_django import Settings

from marketspine import storage
from pipeline.models import Capture
from pipeline.resilience.retries import is_transient
from pipeline.vintages import archive, bucket, files, holdings, read, store
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.files import StorageAway
from pipeline.vintages.store import VintageDamaged
from tests.faults.extent import EVERYTHING
from tests.support.engines import Ledger
from tests.vintages.bucket_service import BUCKET, Fault, Proxy, client
from tests.vintages.frames import KEY, frame_of, label_of, stored, text_of

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
LINES = [("AAPL", "UBSA", "100", 2), ("MSFT", "A firm", "25.25", 1)]
CONTENT = b"tierIdentifier|...\n" * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PREFIX = "desk/a"
SAID = (Fault.FORBIDDEN, Fault.ERROR, Fault.SLOW_DOWN, Fault.RESET)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 does not wait and try again: a request that fails has failed."""
    monkeypatch.setattr(bucket, "ATTEMPTS", 1)


@pytest.fixture
def s3(s3_url: str, bucket_proxy: Proxy) -> Any:
    """A client that goes past the product and past the proxy."""
    return client(s3_url)


def keys(s3: Any) -> list[str]:
    """The objects beneath the prefix."""
    return [item["Key"].removeprefix(f"{PREFIX}/") for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]


def spoil(s3: Any, path: str, content: bytes | None) -> None:
    """Have an object hold something else, or be gone."""
    if content is None:
        s3.delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{path}")
    else:
        s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{path}", Body=content)


def forget_copies(settings: Settings) -> None:
    """Let the cache be another, empty folder."""
    settings.MARKETSPINE_CACHE_DIR = f"{settings.MARKETSPINE_CACHE_DIR}-new"


def test_vintages_are_kept_in_a_bucket(ledger: Ledger, s3: Any, settings: Settings) -> None:
    first, second = stored(LINES, NOON), stored([*LINES, ("NEWW", "SGMT", "9", 1)], NOON)
    assert keys(s3) == [first.vintage_path, second.vintage_path]
    head = s3.head_object(Bucket=BUCKET, Key=f"{PREFIX}/{first.vintage_path}")
    assert (head["ContentType"], head.get("ContentEncoding")) == ("application/vnd.apache.parquet", None)
    assert text_of(read.of_captures([first, second])) == sorted(
        ["AAPL UBSA 100 2", "MSFT A firm 25.25 1"] * 2 + ["NEWW SGMT 9 1"]
    )

    for content, told in ((b"half", "is not what was written"), (None, "is missing")):
        spoil(s3, first.vintage_path, content)
        forget_copies(settings)
        with pytest.raises(VintageDamaged, match=told):
            read.of_capture(first)


def test_what_django_saves_has_its_content_and_its_type(s3: Any) -> None:
    storages["default"].save("captures/one.json", ContentFile(b"{}"))
    found = s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}/captures/one.json")
    assert (found["Body"].read(), found["ContentType"]) == (b"{}", "application/json")


def test_payloads_are_kept_in_a_bucket(s3: Any) -> None:
    path = archive.path_of(SHA256)
    with pytest.raises(ArchiveDamaged, match="is missing"):
        archive.get(SHA256)
    for damaged in (None, b"", b"half"):
        spoil(s3, path, damaged)
        archive.put(CONTENT, SHA256)
        assert archive.get(SHA256) == CONTENT
    assert keys(s3) == [path]
    assert default_storage.size(path) == len(files.content_of(path))
    assert archive.present([SHA256, "f" * 64]) == {SHA256}


READS: dict[str, Callable[[Capture], object]] = {
    "a payload": lambda _capture: archive.get(SHA256),
    "rows": lambda capture: read.of_capture(capture).collect(),
    "a file of its own": store.verify,
    "what there is": lambda _capture: archive.present([SHA256]),
    "whether it is mounted": lambda _capture: store.check_mounted(),
    "a record": lambda _capture: files.read("captures/none.json"),
}
WRITES: dict[str, Callable[[Capture], object]] = {
    "a payload": lambda _capture: archive.put(b"other", hashlib.sha256(b"other").hexdigest()),
    "a vintage": lambda _capture: store.write(KEY, frame_of(LINES), label_of(frame_of(LINES), 7)),
    "a file again": lambda _capture: files.save("captures/a.json", b"{}"),
}


@pytest.mark.parametrize("fault", SAID)
def test_an_outage_passes_and_is_never_damage(
    ledger: Ledger, bucket_proxy: Proxy, settings: Settings, fault: Fault
) -> None:
    archive.put(CONTENT, SHA256)
    capture = stored(LINES, NOON)
    forget_copies(settings)
    for done in (*READS.values(), *WRITES.values()):
        bucket_proxy.always(fault)
        with pytest.raises(StorageAway, match="the bucket cannot be asked") as away:
            done(capture)
        assert is_transient(away.value)
        bucket_proxy.always(None)
    for done in (*READS.values(), *WRITES.values()):
        done(capture)


def test_an_answer_that_ends_early_passes(ledger: Ledger, bucket_proxy: Proxy, settings: Settings) -> None:
    archive.put(CONTENT, SHA256)
    capture = stored(LINES, NOON)
    forget_copies(settings)
    for done in (READS["a payload"], READS["rows"], READS["a file of its own"]):
        bucket_proxy.once(Fault.HALF, "GET")
        with pytest.raises(StorageAway):
            done(capture)
        done(capture)


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.SLOW_DOWN, Fault.RESET, Fault.UNTOLD])
def test_every_first_request_may_fail_and_is_asked_again(
    ledger: Ledger, bucket_proxy: Proxy, settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(bucket, "ATTEMPTS", 2)
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    storages._storages.clear()  # type: ignore[attr-defined] # Django's own: it is made again with these attempts
    bucket_proxy.each_first(fault)
    archive.put(CONTENT, SHA256)
    capture = stored(LINES, NOON)
    forget_copies(settings)
    for done in (*READS.values(), *WRITES.values()):
        done(capture)
    puts = [path for method, path in bucket_proxy.seen if method == "PUT"]
    assert Counter(Counter(puts).values()) == {2: len({*puts})}
    assert archive.get(SHA256) == CONTENT
    assert text_of(read.of_capture(capture)) == ["AAPL UBSA 100 2", "MSFT A firm 25.25 1"]


def test_an_outage_is_one_finding_and_none_for_each_payload(ledger: Ledger, bucket_proxy: Proxy) -> None:
    for number in range(3):
        stored([("AAPL", "UBSA", f"{number + 1}", 2)], NOON)
    bucket_proxy.always(Fault.ERROR)
    held = holdings.holdings()
    assert (held.gone or "").startswith("the bucket cannot be asked")
    holdings.read_in_turn(10)
    bucket_proxy.always(None)
    assert holdings.recorded() == []


def test_a_bucket_that_is_gone_or_another_one_is_away_and_not_empty(
    ledger: Ledger, bucket_proxy: Proxy, settings: Settings
) -> None:
    capture = stored(LINES, NOON)
    for url in (f"s3://{BUCKET}/desk/b", f"s3://{BUCKET}-gone/desk/a"):
        given = f"{url}?region=us-east-1&endpoint={bucket_proxy.url}&addressing=path"
        settings.STORAGES = {**settings.STORAGES, "default": storage.bucket(given)}
        forget_copies(settings)
        with pytest.raises(StorageAway):
            read.of_capture(capture)
        with pytest.raises(StorageAway):
            store.write(KEY, frame_of(LINES), label_of(frame_of(LINES), 2))


def test_of_two_writers_of_one_file_each_is_content_with_it(s3: Any) -> None:
    together = threading.Barrier(8)
    told: list[str] = []

    def write(content: bytes) -> None:
        together.wait()
        told.append(files.place("vintages/a.parquet", content))

    contents = [b"one", b"two"] * 4
    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    (other,) = {*told} - {"vintages/a.parquet"}
    assert Counter(told) == {"vintages/a.parquet": 4, other: 4}
    assert {files.content_of("vintages/a.parquet"), files.content_of(other)} == {b"one", b"two"}
    assert sorted(keys(s3)) == sorted({*told})


KILLED = """
import django; django.setup()
from django.conf import settings
from marketspine import storage
from pipeline.vintages import archive
archive.put({content!r}, {sha256!r})
"""


def test_a_writer_that_is_killed_leaves_nothing_and_is_followed(s3: Any, bucket_proxy: Proxy) -> None:
    bucket_proxy.always(Fault.HANGS, "PUT")
    url = f"s3://{BUCKET}/{PREFIX}?region=us-east-1&endpoint={bucket_proxy.url}&addressing=path"
    environment = {**os.environ, "MARKETSPINE_STORAGE_URL": url, "DATABASE_URL": "sqlite://:memory:"}
    script = KILLED.format(content=CONTENT, sha256=SHA256)
    with subprocess.Popen([sys.executable, "-c", script], cwd=configured.BASE_DIR, env=environment) as writer:
        assert bucket_proxy.hanging.wait(60)
        writer.kill()
    assert writer.returncode == -signal.SIGKILL
    assert keys(s3) == []

    bucket_proxy.always(None)
    archive.put(CONTENT, SHA256)
    assert archive.get(SHA256) == CONTENT


def test_what_is_listed_in_pages_is_listed_whole(s3: Any) -> None:
    """A page has a thousand."""
    count = 1100 if EVERYTHING else 12
    for number in range(count):
        s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/captures/{number:04}.json", Body=b"{}")
    assert archive.names("captures") == [f"{number:04}.json" for number in range(count)]
    assert archive.names("none") == []
