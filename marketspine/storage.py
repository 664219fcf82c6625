"""The storage of payloads and vintage files: a folder of this machine, or a bucket that speaks S3."""

from __future__ import annotations

import re
from typing import Any

from marketspine.addresses import Address, parse

VARIABLE = "MARKETSPINE_STORAGE_URL"
OPTIONS = {"region": "[a-z0-9-]{1,40}", "endpoint": "https?://[A-Za-z0-9.:-]+", "addressing": "path|virtual"}
BUCKET = re.compile(r"(?=.{3,63}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])")
PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")


def storages(url: str, folder: str) -> dict[str, dict[str, Any]]:
    """Django's STORAGES: the default one is the bucket at `url` or, without it, the folder."""
    folders = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": folder}}
    return {
        "default": bucket(url) if url else folders,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


def bucket(url: str) -> dict[str, Any]:
    """An entry of STORAGES for `s3://bucket/prefix?region=...&endpoint=https://...&addressing=path`.

    It holds no credentials: boto3 finds them (a role, AWS_SHARED_CREDENTIALS_FILE, AWS_ACCESS_KEY_ID ...).
    """
    address = parse(VARIABLE, url, {"s3": OPTIONS})
    prefix = address.path.strip("/")
    if address.credentials:
        raise address.refused("it holds credentials; give them to boto3: a role, or AWS_SHARED_CREDENTIALS_FILE")
    if prefix and not PREFIX.fullmatch(prefix):
        raise address.refused("what stands after the bucket is no prefix: letters, digits, - and _, with / between")
    return {
        "BACKEND": "pipeline.vintages.bucket.Bucket",
        "OPTIONS": {
            "bucket_name": _bucket(address),
            "location": prefix,
            "region_name": address.options.get("region"),
            "endpoint_url": address.options.get("endpoint"),
            "addressing_style": address.options.get("addressing"),
        },
    }


def _bucket(address: Address) -> str:
    ((name, port),) = address.places or (("", ""),)
    if port or not BUCKET.fullmatch(name):
        raise address.refused("what stands after s3:// is no bucket: 3 to 63 small letters, digits, - and .")
    return name
