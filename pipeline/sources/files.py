"""Sources made of files: a folder of publications under agreed names, or one file that an operator names.

A partition is `{tier}_week_{week_ending}.psv` in lower case (ATS venues), `{tier}_week_{week_ending}.nonats.psv` (non-ATS
firms), or both; each plain, `.gz` or `.zst`. Payloads are what the files hold once decompressed, so that compressing a
file in another way is a replay and not a restatement.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.calendar import PartitionKey
from pipeline.sources.base import (
    MOST_ROWS,
    MixedData,
    NotPublished,
    Part,
    PartName,
    Payload,
    SourceError,
    UnsafeSource,
    is_sample,
    pack,
)
from pipeline.sources.compression import Compression, decompress
from pipeline.sources.regular_files import Reading, read_anywhere, read_beneath

SUFFIXES = {PartName.ATS: ".psv", PartName.NON_ATS: ".nonats.psv"}


def file_name(key: PartitionKey, part: PartName = PartName.ATS) -> str:
    """The name of a partition's uncompressed file: `nms_tier_1_week_2025-11-14.psv`."""
    return f"{key.tier.lower()}_week_{key.week_ending}{SUFFIXES[part]}"


def _variants(name: str) -> list[str]:
    return [f"{name}{compression}" for compression in Compression]


@dataclass(frozen=True)
class FilesSource:
    """A folder of publications.

    `max_bytes` caps a partition's files, before and after decompression; `max_rows` caps the lines of each.
    """

    root: Path
    max_bytes: int
    max_rows: int = MOST_ROWS
    name = "files"
    reads_samples = False

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """Which of `keys` have a file under one of their names, by one listing of the folder."""
        listed = self._listing()
        return {key for key in keys if any(_found(key, part, listed) for part in PartName)}

    def fetch(self, key: PartitionKey) -> Payload:
        """The partition's files as one payload; `updated_at` is the newest modification time among them.

        Raises NotPublished without a file, UnsafeSource for what is never read, TransientSourceError for a file that
        changes meanwhile, SourceError for two variants of one file and for what is damaged or may not be read.
        """
        names = self._names(key)
        readings = {part: self._read(name) for part, name in names.items()}
        self._check_total(key, readings)
        content, payload_format = pack(tuple(Part(part, reading.content) for part, reading in readings.items()))
        return Payload(
            content=content,
            format=payload_format,
            uri=f"{self.name}:{'+'.join(names.values())}",
            fetched_at=datetime.now(UTC),
            updated_at=max(reading.modified_at for reading in readings.values()),
        )

    def _listing(self) -> frozenset[str]:
        """The names in the folder. A name with a slash is never among them, so none can lead elsewhere."""
        try:
            return frozenset(os.listdir(self.root))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceError(
                f"the source folder {self.root} does not exist: create it, or set MARKETSPINE_SOURCE_DIR"
            ) from error
        except OSError as error:
            raise SourceError(
                f"the source folder {self.root} cannot be read ({error.strerror}): give this user read and search "
                "permission (chmod a+rx), or set MARKETSPINE_SOURCE_DIR"
            ) from error

    def _names(self, key: PartitionKey) -> dict[PartName, str]:
        """The partition's files that are there, ATS first."""
        listed = self._listing()
        names = {part: _only(found) for part in PartName if (found := _found(key, part, listed))}
        if not names:
            raise NotPublished(f"the source folder has no {file_name(key)} (nor .gz, .zst, .nonats.psv)")
        return names

    def _read(self, name: str) -> Reading:
        stored = read_beneath(self.root, name, self.max_bytes)
        reading = _decompressed(stored, Compression.by_suffix(name), name, self.max_bytes, self.max_rows)
        _check_kind(name, reading.content, samples=self.reads_samples)
        return reading

    def _check_total(self, key: PartitionKey, readings: dict[PartName, Reading]) -> None:
        total = sum(len(reading.content) for reading in readings.values())
        if total > self.max_bytes:
            raise UnsafeSource(
                f"the files of {key} have {total} bytes together, more than the "
                f"{self.max_bytes} allowed: if that is right, raise MARKETSPINE_MAX_FILE_BYTES"
            )


class SamplesSource(FilesSource):
    """A folder of samples: it reads nothing else, and no other source reads a sample."""

    name = "samples"
    reads_samples = True


@dataclass(frozen=True)
class SingleFile:
    """One file that an operator names, whatever its name: the ATS file of the one partition `key`.

    The operator answers for the path, so links are followed; the file is compressed when its first bytes or, failing
    them, its name say so. It is one of FINRA's, or with `reads_samples` a sample.
    """

    path: Path
    key: PartitionKey
    max_bytes: int
    max_rows: int = MOST_ROWS
    reads_samples: bool = False
    name = "upload"

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """Its own key, when it is asked for."""
        return {key for key in keys if key == self.key}

    def fetch(self, key: PartitionKey) -> Payload:
        """The file as the payload of its own key; NotPublished for another, refusals as in `FilesSource`."""
        if key != self.key:
            raise NotPublished(f"the file is for {self.key} only")
        reading = self._read()
        content, payload_format = pack((Part(PartName.ATS, reading.content),))
        return Payload(
            content=content,
            format=payload_format,
            uri=f"upload:{self._shown}",
            fetched_at=datetime.now(UTC),
            updated_at=reading.modified_at,
        )

    def _read(self) -> Reading:
        stored = read_anywhere(self.path, self._shown, self.max_bytes)
        compression = Compression.by_magic(stored.content) or Compression.by_suffix(self.path.name)
        reading = _decompressed(stored, compression, self._shown, self.max_bytes, self.max_rows)
        _check_kind(self._shown, reading.content, samples=self.reads_samples)
        return reading

    @property
    def _shown(self) -> str:
        """The file's name as the ledger can store it: a name on disk is bytes, and not always UTF-8."""
        return os.fsencode(self.path.name or self.path).decode(errors="replace")


def _check_kind(name: str, content: bytes, *, samples: bool) -> None:
    if is_sample(content) and not samples:
        raise MixedData(f"{name} holds invented samples, and only FINRA's data is taken here: remove it")
    if samples and not is_sample(content):
        raise MixedData(f"{name} holds no samples, and only samples are taken here: keep your own data apart from them")


def _found(key: PartitionKey, part: PartName, listed: frozenset[str]) -> list[str]:
    return [name for name in _variants(file_name(key, part)) if name in listed]


def _only(found: list[str]) -> str:
    """The one variant of a file; which of two is the right one is not for us to guess."""
    if len(found) > 1:
        raise SourceError(f"{' and '.join(found)} are both there: remove the one that is not meant")
    return found[0]


def _decompressed(stored: Reading, compression: Compression, name: str, max_bytes: int, max_rows: int) -> Reading:
    return Reading(decompress(stored.content, compression, name, max_bytes, max_rows), stored.modified_at)
