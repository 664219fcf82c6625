"""Verifying releases: every file is hashed and counted again, and compared with the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from pipeline.models import Capture
from pipeline.readers.dictionary import DATASETS
from pipeline.readers.release.build import Known, NoRelease, known_releases, read
from pipeline.readers.release.package import DESCRIPTOR, Resource
from pipeline.vintages import read as vintages

OWN = {DESCRIPTOR, "README.md", "dictionary.csv", "catalog.sql"}


@dataclass(frozen=True, slots=True)
class Findings:
    """The numbers of files and releases read, and the differences, a sentence each."""

    releases: int
    files: int
    differences: tuple[str, ...]


def verify(folder: Path) -> Findings:
    """Check a release, or all of a folder. NoRelease where there is none."""
    one = read(folder)
    releases = [one] if one else known_releases(folder)
    if not releases:
        raise NoRelease(f"{folder} has no release")
    captures = {capture.capture_id: capture for capture in Capture.objects.all()}
    differences = [finding for known in releases for finding in _differences(known, captures)]
    return Findings(len(releases), sum(len(known.resources) for known in releases), tuple(differences))


def _differences(known: Known, captures: Mapping[str, Capture]) -> Iterator[str]:
    for resource in known.resources:
        for finding in _of_file(known.path / resource.path, resource, captures):
            yield f"{known.name}/{resource.path}: {finding}"
    named = OWN | {resource.path for resource in known.resources}
    found = {str(path.relative_to(known.path)) for path in known.path.rglob("*") if path.is_file()}
    yield from (f"{known.name}/{path}: is not in {DESCRIPTOR}" for path in sorted(found - named))
    yield from (f"{known.name}/{path}: is missing" for path in sorted(OWN - found))


def _of_file(path: Path, resource: Resource, captures: Mapping[str, Capture]) -> Iterator[str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        yield f"cannot be read: {error.strerror}"
        return
    if hashlib.sha256(content).hexdigest() != resource.sha256:
        yield "is not what was written: its hash differs"
        return
    try:
        frame = vintages.frame_of(content)
    except PolarsError as error:
        yield f"is no Parquet file: {error}"
        return
    if frame.schema != DATASETS[resource.dataset].schema:
        yield f"has another schema than {resource.dataset}"
    if frame.height != resource.rows:
        yield f"has {frame.height:,} rows, not {resource.rows:,}"
    if resource.dataset == "rows":
        yield from _beside_the_ledger(frame, resource, captures)


def _beside_the_ledger(frame: pl.DataFrame, resource: Resource, captures: Mapping[str, Capture]) -> Iterator[str]:
    [capture_id] = resource.captures
    capture = captures.get(capture_id)
    if capture is None:
        yield f"is of {capture_id}, which the ledger does not have"
        return
    found = (frame.height, Decimal(frame["shares"].sum() or 0), frame["trades"].sum())
    held = (capture.rows_kept, Decimal(capture.shares or 0), capture.trades)
    if found != held:
        yield f"has rows, shares, trades {found}, and the ledger {held} of {capture_id}"
