"""A bucket for the tests of this folder, and the product pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from marketspine import storage
from tests.vintages.bucket_service import BUCKET, Proxy, client, misbehaving, s3_server


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A server that speaks S3, one for all tests of a process."""
    with s3_server() as url:
        yield url


@pytest.fixture
def bucket_proxy(s3_url: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The product's storage is an empty bucket, behind a proxy that passes everything on until it is told otherwise."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    asked = client(s3_url)
    asked.create_bucket(Bucket=BUCKET)  # type: ignore[attr-defined]
    with misbehaving(s3_url) as proxy:
        url = f"s3://{BUCKET}/desk/a?region=us-east-1&endpoint={proxy.url}&addressing=path"
        settings.STORAGES = {**settings.STORAGES, "default": storage.bucket(url)}
        settings.MARKETSPINE_CACHE_DIR = str(tmp_path / "cache")
        yield proxy
    for found in asked.list_objects_v2(Bucket=BUCKET).get("Contents", ()):  # type: ignore[attr-defined]
        asked.delete_object(Bucket=BUCKET, Key=found["Key"])  # type: ignore[attr-defined]
    asked.delete_bucket(Bucket=BUCKET)  # type: ignore[attr-defined]
