"""The forms of an answer: JSON in pages, or the whole set as JSON lines, CSV or Parquet, at one address."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from pipeline.api.problems import Fault, Problem
from pipeline.finra.plain_text import as_sentence


@dataclass(frozen=True, slots=True)
class Form:
    """One form: its name in `format=`, its media type, whether it holds the whole set, the suffix of its file."""

    name: str
    media_type: str
    is_whole: bool
    suffix: str

    @property
    def content_type(self) -> str:
        """The header Content-Type; text has its encoding, and CSV that it has a header."""
        return f"{self.media_type}; charset=utf-8; header=present" if self.name == "csv" else self.media_type


JSON = Form("json", "application/json", False, "json")
NDJSON = Form("ndjson", "application/x-ndjson", True, "ndjson")
CSV = Form("csv", "text/csv", True, "csv")
PARQUET = Form("parquet", "application/vnd.apache.parquet", True, "parquet")
WHOLE_FORMS = (NDJSON, CSV, PARQUET)
FORMS = {form.name: form for form in (JSON, *WHOLE_FORMS)}
PROBLEMS = "application/problem+json"  # a client that accepts problems only gets JSON: an answer is none


def form_named(name: str) -> Form:
    """The form that `format=` names."""
    found = FORMS.get(name.lower())
    if found is None:
        detail = f"format is one of {', '.join(FORMS)}, not {name!r}"
        raise Problem("invalid-parameter", as_sentence(detail), [Fault("format", detail, allowed=tuple(FORMS))])
    return found


def form_accepted(request: HttpRequest) -> Form:
    """The form that the Accept header prefers; JSON if it accepts any. Problem if it accepts none."""
    by_type = {form.media_type: form for form in FORMS.values()}
    if not request.headers.get("Accept", "").strip():
        return JSON
    preferred = request.get_preferred_type([*by_type, PROBLEMS])
    if preferred is None:
        raise Problem("not-acceptable", "The Accept header names no format of this API.", facts={"forms": [*by_type]})
    return by_type.get(preferred, JSON)


def whole_set_is_asked(request: HttpRequest) -> bool:
    """Whether the request asks for a whole set, as far as can be told before it is read."""
    named = FORMS.get(request.GET.get("format", "").lower())
    try:
        return (named or form_accepted(request)).is_whole
    except Problem:
        return False
