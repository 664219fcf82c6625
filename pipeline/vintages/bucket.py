"""A bucket that speaks S3, as the storage of payloads and vintage files: Amazon's, MinIO, Ceph, R2.

An object is written by one PUT, whole or not at all, even when a process is killed. Errors are of two kinds: the object is
not there (FileNotFoundError: damage, if the ledger has it), or nothing is known (StorageAway, which passes): no connection,
a refused key, 5xx, SlowDown, a body that ends early. An outage is never taken for an absence.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import ContentFile, File
from storages.backends.s3 import S3Storage

from pipeline.vintages.files import StorageAway

CONNECT_SECONDS, READ_SECONDS = 5, 60
ATTEMPTS = 3  # of boto3, within seconds; after a longer failure the whole partition is tried again
ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
TAKEN = frozenset({"PreconditionFailed", "412"})
NOT_CONDITIONAL = frozenset({"NotImplemented", "501"})
CONTENT_TYPES = {".zst": "application/zstd", ".parquet": "application/vnd.apache.parquet", ".json": "application/json"}


class Bucket(S3Storage):  # type: ignore[misc] # django-storages has no types
    """One bucket, beneath a prefix. Errors: FileNotFoundError, StorageAway."""

    def __init__(self, **options: Any) -> None:
        """The options of `marketspine.storage`."""
        # Buckets other than Amazon's refuse the checksums that boto3 adds; the ledger has a hash of each file anyway.
        own = "when_required" if options.get("endpoint_url") else "when_supported"
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            s3={"addressing_style": options.pop("addressing_style", None) or "auto"},
            request_checksum_calculation=own,
            response_checksum_validation=own,
        )
        super().__init__(**options, client_config=config, default_acl=None)

    def put(self, name: str, content: bytes) -> None:
        """Write an object, or replace it."""
        with self._asking(name):
            self._client.put_object(**self._object(name), Body=content, ContentType=_type_of(name))

    def put_new(self, name: str, content: bytes) -> bool:
        """Write an object unless the name is taken; whether it did. Of two writers at once one does."""
        try:
            self._client.put_object(**self._object(name), Body=content, ContentType=_type_of(name), IfNoneMatch="*")
        except ClientError as error:
            if _code(error) in TAKEN:
                return False
            if _code(error) in NOT_CONDITIONAL:
                return self._put_unless_seen(name, content)
            raise self._told(name, error) from error
        except BotoCoreError as error:
            raise self._told(name, error) from error
        return True

    def _put_unless_seen(self, name: str, content: bytes) -> bool:
        """`put_new` on a server without conditional writes: another may write between the look and the write."""
        if self.exists(name):
            return False
        self.put(name, content)
        return True

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name, by a listing: a missing bucket would answer HEAD with 404, too."""
        with self._asking(name):
            key = self._object(name)["Key"]
            found = self._client.list_objects_v2(Bucket=self.bucket_name, Prefix=key, MaxKeys=1)
            return any(item["Key"] == key for item in found.get("Contents", ()))

    def has_any(self, folder: str) -> bool:
        """Whether any object is in a folder."""
        with self._asking(folder):
            prefix = f"{self._object(folder)['Key']}/"
            return bool(self._client.list_objects_v2(Bucket=self.bucket_name, Prefix=prefix, MaxKeys=1)["KeyCount"])

    def size(self, name: str) -> int:
        """The bytes of an object."""
        with self._asking(name):
            return int(self._client.head_object(**self._object(name))["ContentLength"])

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """The folders and the objects in a folder, however many; empty where there is no such folder."""
        with self._asking(path):
            folders, objects = super().listdir(path)
            return folders, objects

    def delete(self, name: str) -> None:
        """Remove an object, if it is there. A bucket that keeps versions hides it instead."""
        with self._asking(name):
            self._client.delete_object(**self._object(name))

    def address(self, name: str) -> str:
        """The object's address, for messages."""
        return f"s3://{self.bucket_name}/{self._object(name)['Key']}"

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        with self._asking(name):
            return ContentFile(self._client.get_object(**self._object(name))["Body"].read(), name)

    def _save(self, name: str, content: File[bytes]) -> str:
        self.put(name, content.read())
        return name

    @property
    def _client(self) -> Any:
        """A client of this thread."""
        return self.connection.meta.client

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket_name, "Key": self._normalize_name(name)}

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise self._told(name, error) from error

    def _told(self, name: str, error: Exception) -> OSError:
        if isinstance(error, ClientError) and _code(error) in ABSENT:
            return FileNotFoundError(errno.ENOENT, "is not in the bucket", self.address(name))
        return StorageAway(errno.ESTALE, f"the bucket cannot be asked: {error}", self.address(name))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _type_of(name: str) -> str:
    """The media type. There is no Content-Encoding: a client would decompress the payload."""
    return next((kind for ending, kind in CONTENT_TYPES.items() if name.endswith(ending)), "application/octet-stream")
