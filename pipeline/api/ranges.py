"""Parts of files (RFC 9110, section 14), by which an interrupted download goes on. One part at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import quote_etag

from pipeline.api.problems import Problem

ONE_PART = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of a file from `first` to `last`, both in it."""

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1

    @property
    def field(self) -> str:
        """For the header Content-Range."""
        return f"bytes {self.first}-{self.last}/{self.size}"


class PartOfFile:
    """A file cut to a part. It has no fileno, or a server that uses sendfile would send all of it."""

    def __init__(self, file: IO[bytes], part: Part) -> None:
        file.seek(part.first)
        self._file, self._left = file, part.length

    def read(self, size: int = -1) -> bytes:
        """The next bytes of the part."""
        content = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(content)
        return content

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def part_asked(request: HttpRequest, size: int, etag: str) -> Part | None:
    """The part that a request asks for; None where it asks for all, for several parts, or by another ETag.

    Problem for a part that the file does not have.
    """
    asked = ONE_PART.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if (
        request.method != "GET"
        or asked is None
        or request.headers.get("If-Range", quote_etag(etag)) != quote_etag(etag)
    ):
        return None
    since, until = asked.groups()
    if not since and not until:
        return None
    first = int(since) if since else max(0, size - int(until))
    last = min(int(until), size - 1) if since and until else size - 1
    if since and until and int(until) < first:
        return None  # a malformed range is ignored, by the RFC
    if first >= size:
        told = {"Content-Range": f"bytes */{size}"}
        raise Problem("range-not-satisfiable", f"The file has {size:,} bytes.", facts={"bytes": size}, headers=told)
    return Part(first, last, size)


def as_part(response: HttpResponseBase, part: Part | None) -> None:
    """Add the headers of a file, or of a part of it, to a reply."""
    response["Accept-Ranges"] = "bytes"
    if part is not None:
        response.status_code = 206
        response["Content-Range"], response["Content-Length"] = part.field, str(part.length)
