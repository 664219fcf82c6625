"""The address of a bucket is read whole, or refused with what is wrong."""

from __future__ import annotations

import pytest

from marketspine.environment import Misconfigured
from marketspine.storage import bucket, storages


def test_an_address_names_bucket_prefix_and_server() -> None:
    url = "s3://market-spine/desk/a/?region=eu-central-1&endpoint=https://minio.example:9000&addressing=path"
    assert bucket(url)["OPTIONS"] == {
        "bucket_name": "market-spine",
        "location": "desk/a",
        "region_name": "eu-central-1",
        "endpoint_url": "https://minio.example:9000",
        "addressing_style": "path",
    }
    assert bucket("s3://market.spine")["OPTIONS"]["location"] == ""


def test_without_an_address_the_folder_is_the_storage() -> None:
    assert storages("", "/srv/archive")["default"]["OPTIONS"] == {"location": "/srv/archive"}
    assert storages("s3://market-spine", "/srv/archive")["default"]["BACKEND"] == "pipeline.vintages.bucket.Bucket"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://ab", "is no bucket: 3 to 63"),
        ("s3://Market-Spine", "is no bucket"),
        ("s3://market-spine:9000/x", "is no bucket"),
        ("s3:///x", "is no bucket"),
        ("s3://KEY:SECRET@market-spine", "it holds credentials"),
        ("s3://market-spine/../x", "is no prefix"),
        ("s3://market-spine/a//b", "is no prefix"),
        ("s3://market-spine?key=abc", "an option that is not known"),
        ("s3://market-spine?endpoint=ftp://x", "a value that it cannot have"),
        ("https://market-spine.example", "'https' is not supported"),
        ("market-spine", "is no address"),
    ],
)
def test_what_is_no_bucket_is_refused_and_no_secret_is_shown(url: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=r"^MARKETSPINE_STORAGE_URL") as refused:
        bucket(url)
    assert told in str(refused.value)
    assert "SECRET" not in str(refused.value)
