"""An answer of the readers as a reply: a page of JSON, or the whole set as a file. Nothing is computed here.

The ETag comes from what the answer follows from, which the ledger knows: whoever has the answer already costs no reading.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from pipeline.api import jsons
from pipeline.api.base import ASK_AGAIN, UNCHANGED_FOR_EVER, document, is_held, marked, not_modified
from pipeline.api.cursors import BadCursor, Cursor, digest, opened
from pipeline.api.datasets import Source
from pipeline.api.forms import PARQUET, WHOLE_FORMS, Form
from pipeline.api.problems import Fault, Problem
from pipeline.api.ranges import PartOfFile, as_part, part_asked
from pipeline.api.requests import PAGE, Request, Value, invalid
from pipeline.models import data_kinds
from pipeline.readers.formats import json_array
from pipeline.readers.meta import plain
from pipeline.readers.result import Page, Result
from pipeline.readers.selectors import SelectorKind
from pipeline.readers.sizes import sizes_of
from pipeline.readers.written import Format, write_rows

MOST_INPUTS = 50  # vintages that a page names; beyond, links.inputs has them


@dataclass(frozen=True, slots=True)
class Asked:
    """A request at an address, the cursor with which it goes on, and the other forms that the address gives."""

    path: str
    request: Request
    cursor: Cursor | None = None
    forms: tuple[Form, ...] = WHOLE_FORMS
    is_feed: bool = False

    @property
    def question(self) -> str:
        """A digest of what is asked, which a cursor belongs to."""
        return question_of(self.path, self.request)


def question_of(path: str, request: Request) -> str:
    """A digest of the address and its parameters, in whatever order they are given."""
    return digest((path, *(f"{name}={value}" for name, value in sorted(request.shown.items()))))


def cursor_of(path: str, request: Request) -> Cursor | None:
    """The cursor of a request; Problem where it is none, or belongs to another question."""
    if request.cursor is None:
        return None
    try:
        cursor = opened(request.cursor)
    except BadCursor:
        raise _mismatch("It is no cursor of this API, or was cut short") from None
    if cursor.question != question_of(path, request):
        raise _mismatch("It belongs to another endpoint or to other parameters")
    return cursor


def pinned(asked: Mapping[str, Value], cursor: Cursor | None, source: Source) -> dict[str, Value]:
    """The question as a cursor goes on with it: of the vintages and of the day that the first page was answered from."""
    if cursor is None:
        return dict(asked)
    pins = {"position": cursor.position, "on_day": cursor.on_day.isoformat()}
    taken = {name: str(value) for name, value in pins.items() if value is not None and source.takes(name)}
    kept = {name: value for name, value in asked.items() if name != "vintage" or "position" not in taken}
    return kept | taken


def reply(http: HttpRequest, asked: Asked, result: Result) -> HttpResponseBase:
    """The reply to a request, in the form that it asks for; 304 where the client has it already."""
    _check_walk(asked, result)
    request = asked.request
    shape = (request.form.name, request.count_only, request.limit, asked.cursor.after if asked.cursor else "")
    etag = digest((result.etag, asked.question, *shape, *_beside_rows(request.form, result)))
    cache = UNCHANGED_FOR_EVER if result.pinned else ASK_AGAIN
    if is_held(http, etag):
        return not_modified(etag, cache)
    if request.count_only:
        return document(_counted(asked, result), etag, cache)
    if request.form.is_whole:
        return marked(_whole(http, asked, result, etag), etag, cache)
    return _page(asked, result, etag, cache)


def _beside_rows(form: Form, result: Result) -> tuple[object, ...]:
    """What else is in the bytes of a file: the footer of Parquet says as of when, and a part fits one file only."""
    return (result.meta.as_of, result.meta.position) if form is PARQUET else ()


def _check_walk(asked: Asked, result: Result) -> None:
    """Problem where a walk goes on over other vintages than it began with: of a first vintage, say, that came meanwhile."""
    if asked.cursor and asked.cursor.inputs != _inputs(result):
        raise Problem("walk-changed", "The vintages that the first page was read from are not those there are now.")


def _inputs(result: Result) -> str:
    """A digest of what the rows come from: of captures; of those of the ledger itself, of all that they follow from."""
    if not result.meta.inputs:
        return digest([result.meta.digest])
    return digest(one.capture_id for one in result.meta.inputs)


def _page(asked: Asked, result: Result, etag: str, cache: str) -> HttpResponse:
    """A page, and the address of the next one in the document and in the header Link."""
    page = result.page(asked.cursor.after if asked.cursor else None, asked.request.limit or PAGE)
    links = _links(asked, result, page)
    meta = _head(result) | dict(_of_page(asked, result, page))
    if not meta["inputs"] and result.meta.inputs:
        links["inputs"] = _address(asked, count_only="true")
    response = document(_body(jsons.written(json_array(page.frame)), meta, result, links), etag, cache)
    response["X-Row-Count"] = str(page.frame.height)
    if "next" in links:
        response["Link"] = f'<{links["next"]}>; rel="next"'
    return response


def _head(result: Result) -> dict[str, object]:
    """The head of the answer. On each page of a walk over years the vintages would outweigh the rows: of many, a digest."""
    head = result.meta.as_document()
    if len(result.meta.inputs) <= MOST_INPUTS:
        return head
    return head | {"inputs": [], "inputs_total": len(result.meta.inputs), "inputs_digest": _inputs(result)}


def _of_page(asked: Asked, result: Result, page: Page) -> Iterator[tuple[str, object]]:
    """What the head says of a page, and of all rows."""
    yield "rows", page.frame.height
    if result.has_cheap_total:
        yield "rows_total", result.total
    if asked.cursor is None and result.summary is not None:
        yield "summary", plain(result.summary)
    if page.frame.is_empty() and asked.cursor is None:
        yield "empty_because", result.rows.why_empty()
    if asked.is_feed:
        yield "has_more", page.next is not None
        yield "next_after", _next_position(asked, result, page)


def _next_position(asked: Asked, result: Result, page: Page) -> int:
    """What a poller keeps: the position of the last entry of the page, or how far the feed has come where that was all."""
    if page.next is not None:
        return int(page.next[0] or 0)
    feed_ends: int = result.meta.facts.high_water
    return max(int(str(asked.request.asked.get("after", 0))), feed_ends)


def _body(data: object, meta: Mapping[str, object], result: Result, links: Mapping[str, str]) -> object:
    warnings = [{"code": one.code, "text": one.text} for one in result.warnings]
    return {"data": data, "meta": meta, "warnings": warnings, "links": links}


def _counted(asked: Asked, result: Result) -> object:
    """The head of the answer, and how many rows it has."""
    counted = {"rows": 0, "rows_total": result.total, "estimated_bytes": plain(sizes_of(result))}
    meta = result.meta.as_document() | counted
    return _body([], meta, result, _forms(asked))


def _links(asked: Asked, result: Result, page: Page) -> dict[str, str]:
    """The same answer in other forms, and the next page."""
    links = {"self": _address(asked, limit=asked.request.limit, cursor=asked.request.cursor)} | _forms(asked)
    if asked.is_feed:
        links["next"] = _address(asked, limit=asked.request.limit, after=_next_position(asked, result, page))
    elif page.next is not None:
        cursor = Cursor(page.next, _position(result), result.meta.on_day, asked.question, _inputs(result))
        links["next"] = _address(asked, limit=asked.request.limit, cursor=cursor.sealed())
    return links


def _position(result: Result) -> int | None:
    """The position of the feed that the pages after the first one are read as of, where the question names no vintage."""
    is_pinned_so = result.meta.selector.kind in (SelectorKind.LATEST, SelectorKind.POSITION)
    return result.meta.position if is_pinned_so else None


def _forms(asked: Asked) -> dict[str, str]:
    return {form.name: _address(asked, format=form.name) for form in asked.forms}


def _address(asked: Asked, **more: object) -> str:
    """The address of the same question, with what is set of `more`."""
    given = {name: value for name, value in {**asked.request.shown, **more}.items() if value is not None}
    query = urlencode(given, doseq=True, quote_via=quote)
    return f"{asked.path}?{query}" if query else asked.path


def _whole(http: HttpRequest, asked: Asked, result: Result, etag: str) -> HttpResponseBase:
    """All rows as a file, written before its first byte is sent: what is cut off on the way is shorter than announced."""
    if result.total > settings.MARKETSPINE_API_MAX_ROWS:
        most = settings.MARKETSPINE_API_MAX_ROWS
        detail = (
            f"{result.total:,} rows, and one file has at most {most:,}: narrow the question, or take /api/v1/exports."
        )
        raise Problem("result-too-large", detail, facts={"rows_total": result.total, "most": most})
    form = asked.request.form
    file, rows = _written(result, form)
    name = data_kinds.file_name(f"{result.dataset.name}.{form.suffix}")
    part = part_asked(http, os.fstat(file.fileno()).st_size, etag)
    sent: Any = PartOfFile(file, part) if part else file
    response = FileResponse(sent, as_attachment=True, filename=name, content_type=form.content_type)
    as_part(response, part)
    response["X-Row-Count"] = str(rows)
    return response


def _written(result: Result, form: Form) -> tuple[IO[bytes], int]:
    """A file, and its rows. It has left its folder already: with the reply it is gone, whatever becomes of that."""
    with tempfile.TemporaryDirectory(prefix="marketspine-api-") as folder:
        path = Path(folder) / "answer"
        with path.open("wb") as file:
            rows = write_rows(result, Format(form.name), file)
        return path.open("rb"), rows


def check_paging(request: Request) -> None:
    """Problem where a whole set, or a count, is asked for by the page, and where a count is to be a file."""
    form = request.form.name
    if request.count_only and request.form.is_whole:
        raise invalid("count_only", f"a count is a document, no {form}: leave format and Accept away")
    if request.form.is_whole or request.count_only:
        for name in ("cursor", "limit"):
            if getattr(request, name) is not None:
                what = "count_only counts" if request.count_only else f"{form} is"
                raise invalid(name, f"{what} the whole set, not a page of it: leave {name} away")


def _mismatch(detail: str) -> Problem:
    return Problem("cursor-mismatch", f"{detail}: ask without it to begin again.", [Fault("cursor", detail)])
