"""Sources made of files: a folder of publications under agreed names, or files that an operator names.

A partition is `{tier}_week_{week_ending}.psv` (ATS venues), `{tier}_week_{week_ending}.nonats.psv` (non-ATS firms), or
both; each plain, `.gz` or `.zst` (`file_names`). Payloads are what the files hold once decompressed, so
that compressing a file in another way is a replay and not a restatement.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.payloads import Part, PartName, Payload, is_sample, pack
from pipeline.finra.sources.base import MOST_ROWS, MixedData, NotPublished, SourceError, UnsafeSource
from pipeline.finra.sources.files.compression import Compression, decompress
from pipeline.finra.sources.files.file_names import file_name, first_of, index, near_misses
from pipeline.finra.sources.files.regular_files import FileContent, read_anywhere, read_beneath


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
        """The keys that have a file under one of their names, by one listing of the folder."""
        there = {key for key, _ in index(self._listing())}
        return {key for key in keys if key in there}

    def fetch(self, key: PartitionKey) -> Payload:
        """The partition's files as one payload; `updated_at` is the newest modification time among them.

        Raises NotPublished without a file, UnsafeSource for what is never read, TransientSourceError for a file that
        changes meanwhile, SourceError for two variants of one file and for what is damaged or may not be read.
        """
        names = self._names(key)
        readings = {part: self._read(name) for part, name in names.items()}
        _check_total(key, readings, self.max_bytes)
        content, payload_format = pack(tuple(Part(part, reading.content) for part, reading in readings.items()))
        payload = Payload(
            content=content,
            format=payload_format,
            uri=f"{self.name}:{'+'.join(names.values())}",
            fetched_at=datetime.now(UTC),
            updated_at=max(reading.modified_at for reading in readings.values()),
        )
        _check_kind(payload, [(names[part], reading) for part, reading in readings.items()], samples=self.reads_samples)
        return payload

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
        there = index(listed)
        names = {part: _only(found) for part in PartName if (found := there.get((key, part)))}
        if not names:
            near = near_misses(key, listed)
            missing = f"the source folder has no {file_name(key)} (nor .gz, .zst, .nonats.psv)"
            raise NotPublished(f"{missing}; {first_of(near)}" if near else missing)
        return names

    def _read(self, name: str) -> FileContent:
        stored = read_beneath(self.root, name, self.max_bytes)
        return _decompressed(stored, Compression.by_suffix(name), name, self.max_bytes, self.max_rows)


class SamplesSource(FilesSource):
    """A folder of samples: it reads nothing else, and no other source reads a sample."""

    name = "samples"
    reads_samples = True


@dataclass(frozen=True)
class SingleFile:
    """Files that an operator names, whatever their names: the ATS file of one partition `key`, its non-ATS file, or both.

    The operator answers for the paths, so links are followed; a file is compressed when its first bytes or, failing
    them, its name say so. It is one of FINRA's, or with `reads_samples` a sample.
    """

    path: Path | None
    key: PartitionKey
    max_bytes: int
    max_rows: int = MOST_ROWS
    reads_samples: bool = False
    non_ats: Path | None = None
    name = "upload"

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """Its own key, when it is asked for."""
        return {key for key in keys if key == self.key}

    def fetch(self, key: PartitionKey) -> Payload:
        """The files as the payload of their own key; NotPublished for another, refusals as in `FilesSource`."""
        if key != self.key:
            raise NotPublished(f"the file is for {self.key} only")
        paths = {PartName.ATS: self.path, PartName.NON_ATS: self.non_ats}
        named = {part: path for part, path in paths.items() if path is not None}
        readings = {part: self._read(path) for part, path in named.items()}
        _check_total(key, readings, self.max_bytes)
        content, payload_format = pack(tuple(Part(part, reading.content) for part, reading in readings.items()))
        payload = Payload(
            content=content,
            format=payload_format,
            uri=f"upload:{'+'.join(map(_shown, named.values()))}",
            fetched_at=datetime.now(UTC),
            updated_at=max(reading.modified_at for reading in readings.values()),
        )
        named_readings = [(_shown(named[part]), reading) for part, reading in readings.items()]
        _check_kind(payload, named_readings, samples=self.reads_samples)
        return payload

    def _read(self, path: Path) -> FileContent:
        name = _shown(path)
        stored = read_anywhere(path, name, self.max_bytes)
        compression = Compression.by_magic(stored.content) or Compression.by_suffix(path.name)
        return _decompressed(stored, compression, name, self.max_bytes, self.max_rows)


def _shown(path: Path) -> str:
    """A file's name as the ledger can store it: a name on disk is bytes, and not always UTF-8."""
    return os.fsencode(path.name or path).decode(errors="replace")


def _check_total(key: PartitionKey, readings: Mapping[PartName, FileContent], max_bytes: int) -> None:
    total = sum(len(reading.content) for reading in readings.values())
    if total > max_bytes:
        raise UnsafeSource(
            f"the files of {key} have {total} bytes together, more than the "
            f"{max_bytes} allowed: if that is right, raise MARKETSPINE_MAX_FILE_BYTES"
        )


def _check_kind(payload: Payload, readings: Iterable[tuple[str, FileContent]], *, samples: bool) -> None:
    """MixedData for a payload of the other kind. The message names the file; FINRA's files are looked through once."""
    if not payload.is_sample and not samples:
        return
    for name, reading in readings:
        is_one = is_sample(reading.content)
        if is_one and not samples:
            raise MixedData(f"{name} holds invented samples, and only FINRA's data is taken here: remove it")
        if samples and not is_one:
            raise MixedData(
                f"{name} holds no samples, and only samples are taken here: keep your own data apart from them"
            )


def _only(found: list[str]) -> str:
    """The one variant of a file; which of two is the right one is not for us to guess."""
    if len(found) > 1:
        raise SourceError(f"{' and '.join(found)} are both there: remove the one that is not meant")
    return found[0]


def _decompressed(
    stored: FileContent, compression: Compression, name: str, max_bytes: int, max_rows: int
) -> FileContent:
    return FileContent(decompress(stored.content, compression, name, max_bytes, max_rows), stored.modified_at)
