"""The releases for readers: those in the folder MARKETSPINE_RELEASES_DIR."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from pipeline.readers.errors import ErrorKind, ReadersError
from pipeline.readers.release import build
from pipeline.readers.release.build import Known


def releases() -> list[Known]:
    """The releases, newest first; none where no folder is set."""
    folder = settings.MARKETSPINE_RELEASES_DIR
    return build.known_releases(Path(folder))[::-1] if folder else []


def release_file(name: str, path: str) -> Path:
    """A file of a release. ReadersError for an unknown release, and for a file that it does not have."""
    if not settings.MARKETSPINE_RELEASES_DIR:
        raise ReadersError(ErrorKind.UNKNOWN_RELEASE, "no releases are handed out: MARKETSPINE_RELEASES_DIR is not set")
    return build.file_of(Path(settings.MARKETSPINE_RELEASES_DIR), name, path)
