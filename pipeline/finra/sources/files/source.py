"""Sources made of files: a folder of publications under agreed names, or files that an operator names.

A partition is `{tier}_week_{week_ending}.psv` (ATS venues), `{tier}_week_{week_ending}.nonats.psv` (non-ATS firms), or
both; each plain, `.gz` or `.zst` (`file_names`). Payloads are the decompressed files: a file compressed in another way is
a replay, and no restatement.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.payloads import Part, PartName, Payload, pieces_of
from pipeline.finra.sources.base import MOST_ROWS, MixedData, NotPublished, SourceError, UnsafeSource, too_many_rows
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
    is_near = True
    reads_samples = False

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """The keys that have a file under one of their names, by one listing of the folder."""
        there = {key for key, _ in index(self._listing())}
        return {key for key in keys if key in there}

    def fetch(self, key: PartitionKey) -> Payload:
        """The partition's files as one payload; `updated_at` is the newest modification time among them.

        Raises NotPublished without a file, UnsafeSource for a file that is refused, TransientSourceError for one that
        changes meanwhile, SourceError for two variants of one file, and for a damaged or unreadable one.
        """
        names = self._names(key)
        readings = {part: _Reading(name, self._read(name)) for part, name in names.items()}
        return _payload(self, key, readings)

    def _listing(self) -> frozenset[str]:
        """The names in the folder. None has a slash, so none leads elsewhere."""
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
    """A folder of samples. It reads samples only, and no other source reads them."""

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
    is_near = True

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """Its own key, if it is among `keys`."""
        return {key for key in keys if key == self.key}

    def fetch(self, key: PartitionKey) -> Payload:
        """The files as the payload of their own key; NotPublished for another, refusals as in `FilesSource`."""
        if key != self.key:
            raise NotPublished(f"the file is for {self.key} only")
        paths = {PartName.ATS: self.path, PartName.NON_ATS: self.non_ats}
        named = {part: path for part, path in paths.items() if path is not None}
        readings = {part: _Reading(_shown(path), self._read(path)) for part, path in named.items()}
        return _payload(self, key, readings)

    def _read(self, path: Path) -> FileContent:
        name = _shown(path)
        stored = read_anywhere(path, name, self.max_bytes)
        compression = Compression.by_magic(stored.content) or Compression.by_suffix(path.name)
        return _decompressed(stored, compression, name, self.max_bytes, self.max_rows)


def _shown(path: Path) -> str:
    """A file's name for the ledger: a name on disk is bytes, and not always UTF-8."""
    return os.fsencode(path.name or path).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class _Reading:
    """A file under its name, read and decompressed."""

    name: str
    file: FileContent


def _payload(source: FilesSource | SingleFile, key: PartitionKey, readings: Mapping[PartName, _Reading]) -> Payload:
    """The files as one payload. They are checked for lines and samples only if the payload's bytes are new."""
    _check_total(key, readings.values(), source.max_bytes)
    parts = tuple(Part(name, reading.file.content) for name, reading in readings.items())
    pieces, payload_format = pieces_of(parts)
    names = [reading.name for reading in readings.values()]
    named = tuple(zip(names, parts, strict=True))
    return Payload(
        pieces=pieces,
        format=payload_format,
        uri=f"{source.name}:{'+'.join(names)}",
        fetched_at=datetime.now(UTC),
        updated_at=max(reading.file.modified_at for reading in readings.values()),
        parts=parts,
        check=partial(_check, source, named),
    )


def _check_total(key: PartitionKey, readings: Iterable[_Reading], max_bytes: int) -> None:
    total = sum(len(reading.file.content) for reading in readings)
    if total > max_bytes:
        raise UnsafeSource(
            f"the files of {key} have {total} bytes together, more than the "
            f"{max_bytes} allowed: if that is right, raise MARKETSPINE_MAX_FILE_BYTES"
        )


def _check(source: FilesSource | SingleFile, named: Iterable[tuple[str, Part]]) -> None:
    """UnsafeSource for a file of too many lines, MixedData for one of the other kind; the message names the file."""
    for name, part in named:
        if part.newlines > source.max_rows + 1:  # the header
            raise UnsafeSource(f"{name} has {too_many_rows(source.max_rows)}")
    for name, part in named:
        if part.is_sample and not source.reads_samples:
            raise MixedData(f"{name} holds invented samples, and only FINRA's data is taken here: remove it")
        if source.reads_samples and part.has_fields and not part.is_sample:
            raise MixedData(
                f"{name} holds no samples, and only samples are taken here: keep your own data apart from them"
            )


def _only(found: list[str]) -> str:
    """The only variant of a file; SourceError for two, since either may be the right one."""
    if len(found) > 1:
        raise SourceError(f"{' and '.join(found)} are both there: remove the one that is not meant")
    return found[0]


def _decompressed(
    stored: FileContent, compression: Compression, name: str, max_bytes: int, max_rows: int
) -> FileContent:
    return FileContent(decompress(stored.content, compression, name, max_bytes, max_rows), stored.modified_at)
