"""The registry of sources: from the name that `--source` takes to the source. No source knows Django."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.sources.base import Source, SourceError
from pipeline.sources.files import FilesSource


class UnknownSource(SourceError):
    """No source has this name; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a source may be told: the folder of files, and the largest payload in bytes."""

    root: Path
    max_bytes: int


def _files(options: SourceOptions) -> Source:
    return FilesSource(options.root, options.max_bytes)


REGISTRY: dict[str, Callable[[SourceOptions], Source]] = {"files": _files}


def open_source(name: str, options: SourceOptions) -> Source:
    """The source called `name`; UnknownSource when there is none."""
    try:
        build = REGISTRY[name]
    except KeyError as error:
        raise UnknownSource(f"unknown source {name!r}: known are {', '.join(sorted(REGISTRY))}") from error
    return build(options)
