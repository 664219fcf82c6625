"""The registry of sources: from the name that `--source` takes to the source. No source knows Django."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.finra.sources.api.access import NAME, Access
from pipeline.finra.sources.base import MOST_ROWS, Source, SourceError
from pipeline.finra.sources.files.source import FilesSource, SamplesSource


class UnknownSource(SourceError):
    """No source has this name; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """The options of sources: the folder of files, a payload's most bytes and rows, how FINRA's API is reached."""

    root: Path
    max_bytes: int
    access: Access | None = None
    max_rows: int = MOST_ROWS


def _files(options: SourceOptions) -> Source:
    return FilesSource(options.root, options.max_bytes, options.max_rows)


def _samples(options: SourceOptions) -> Source:
    return SamplesSource(options.root, options.max_bytes, options.max_rows)


def _api(options: SourceOptions) -> Source:
    if options.access is None:
        raise SourceError("the settings do not say how FINRA's API is reached")
    from pipeline.finra.sources.api.source import FinraApi  # noqa: PLC0415 - it costs every command a fifth of a second

    return FinraApi(options.access, options.max_bytes, options.max_rows)


REGISTRY: dict[str, Callable[[SourceOptions], Source]] = {
    NAME: _api,
    FilesSource.name: _files,
    SamplesSource.name: _samples,
}


def open_source(name: str, options: SourceOptions) -> Source:
    """The source called `name`; UnknownSource when there is none."""
    try:
        build = REGISTRY[name]
    except KeyError as error:
        raise UnknownSource(f"unknown source {name!r}: known are {', '.join(sorted(REGISTRY))}") from error
    return build(options)
