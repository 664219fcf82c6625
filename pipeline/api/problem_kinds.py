"""The kinds of problems, each with an address that is a page: what it means and what helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from pipeline.readers.errors import STATUS, ErrorKind

PAGES = "/problems/"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A kind of problem: the end of its address, its title and status, its meaning and remedy."""

    slug: str
    title: str
    status: HTTPStatus
    meaning: str

    @property
    def address(self) -> str:
        """Its `type`: the address of the page that explains it."""
        return f"{PAGES}{self.slug}"


# The readers' errors: title and meaning; the readers give the status.
_OF_READERS: Mapping[ErrorKind, tuple[str, str]] = {
    ErrorKind.UNKNOWN_PARAMETER: (
        "Unknown query parameter",
        "The endpoint does not have this parameter. Nothing is ignored: a misspelt as_of would otherwise be answered with "
        "today's data. did_you_mean names the nearest parameter there is.",
    ),
    ErrorKind.INVALID_PARAMETER: (
        "Invalid value of a parameter",
        "The value cannot be read, or is none of those allowed. errors names the parameter and, where there are few, all "
        "values that it may have.",
    ),
    ErrorKind.SELECTOR_CONFLICT: (
        "Parameters that exclude each other",
        "as_of, capture, vintage and at_age_days each say which vintages to read: give one of them. Weeks are named by "
        "week_ending, by from_week and to_week, or by weeks.",
    ),
    ErrorKind.NOT_A_FRIDAY: (
        "A week is named by its Friday",
        "A week_ending is the Friday of a trading week. nearest_fridays are those around the day that was given.",
    ),
    ErrorKind.AS_OF_IN_THE_FUTURE: (
        "An instant in the future",
        "Only past instants have an answer. Leave as_of away for the latest data.",
    ),
    ErrorKind.POSITION_IN_THE_FUTURE: (
        "A position that the feed has not reached",
        "position and after name positions that were given. Keep meta.next_after of the last answer; 0 begins at the first "
        "entry.",
    ),
    ErrorKind.UNKNOWN_FIELD: (
        "A field that the answer does not have",
        "fields names columns of the answer. /api/v1/dictionary lists them.",
    ),
    ErrorKind.UNKNOWN_SYMBOL: (
        "A symbol that was never in the feed",
        "Symbols are FINRA's own spelling, exact and case-sensitive (BRK.B, ABRpD). /api/v1/symbols?q= finds other "
        "spellings. A symbol that is known, and not in the weeks asked for, is an empty answer and no error.",
    ),
    ErrorKind.UNKNOWN_VENUE: (
        "A venue that was never in the feed",
        "An ATS is named by its MPID, a firm by its CRD number or its name. /api/v1/venues lists those of a week.",
    ),
    ErrorKind.UNKNOWN_CAPTURE: (
        "A capture that does not exist",
        "Captures are named by their capture_id, as /api/v1/captures lists them.",
    ),
    ErrorKind.NOT_YET_DUE: (
        "FINRA has not published this yet",
        "due_date is the day on which FINRA first publishes the week; Retry-After is its beginning in New York.",
    ),
    ErrorKind.NOT_CAPTURED: (
        "Due, and not captured",
        "The week is due, and there is no capture of it here. /api/v1/readiness says why.",
    ),
    ErrorKind.NOT_KNOWN_YET: (
        "Not known at that instant",
        "The first capture came after the instant asked for: first_known_at. It is never answered by a later one.",
    ),
    ErrorKind.VINTAGE_PRUNED: (
        "Removed by retention",
        "The rows of this vintage were removed. It is never answered by another one: capture_ids are those that are kept.",
    ),
    ErrorKind.DAMAGED: (
        "A file is not what was written",
        "A vintage file is lost or damaged. `manage.py rebuild_vintages` makes it again from its payload.",
    ),
    ErrorKind.STORAGE_AWAY: (
        "The storage cannot be read",
        "The folder or the bucket of the vintage files is not there at the moment. Ask again later.",
    ),
    ErrorKind.UNKNOWN_RELEASE: (
        "A release that there is not",
        "/api/v1/exports lists the releases that are handed out: those in the folder MARKETSPINE_RELEASES_DIR.",
    ),
    ErrorKind.UNKNOWN_FILE: (
        "A file that the release does not have",
        "The descriptor of a release, datapackage.json, names all its files.",
    ),
    ErrorKind.MISSING_PACKAGE: (
        "A package is not installed",
        "The server lacks a package that this form of an answer needs.",
    ),
}
# Errors of HTTP alone.
_OF_HTTP: Mapping[str, tuple[HTTPStatus, str, str]] = {
    "cursor-mismatch": (
        HTTPStatus.BAD_REQUEST,
        "The cursor belongs to another question",
        "A cursor goes on with the question that it came from: the same endpoint and parameters, only limit may differ. Ask "
        "without it to begin again.",
    ),
    "walk-changed": (
        HTTPStatus.CONFLICT,
        "The vintages have changed during the walk",
        "vintage=first and at_age_days name no instant: a partition that was captured between two pages is in the second "
        "and not in the first. Begin again, or name the instant with as_of.",
    ),
    "result-too-large": (
        HTTPStatus.BAD_REQUEST,
        "More rows than one file may have",
        "Narrow the question, ask for pages of JSON, or take the files of a release: /api/v1/exports.",
    ),
    "range-not-satisfiable": (
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        "A part that the file does not have",
        "Range asks for bytes behind the end of the file: bytes says how long it is.",
    ),
    "not-found": (
        HTTPStatus.NOT_FOUND,
        "Nothing at this address",
        "The API has no such endpoint. /api/v1/ lists those there are.",
    ),
    "bad-request": (
        HTTPStatus.BAD_REQUEST,
        "A request that cannot be read",
        "The request is malformed: a body that is too long, a NUL character, a host name that is not this site's.",
    ),
    "unauthorized": (
        HTTPStatus.UNAUTHORIZED,
        "No valid token",
        "Send `Authorization: Bearer ms_...`, or sign in. Tokens are made in the admin, under API tokens. No address takes "
        "one as a parameter, since addresses end in logs.",
    ),
    "forbidden": (
        HTTPStatus.FORBIDDEN,
        "Not allowed to read this",
        "The user of the token has not the right to read this. A Viewer has it.",
    ),
    "method-not-allowed": (
        HTTPStatus.METHOD_NOT_ALLOWED,
        "Only reading",
        "Every endpoint answers GET and HEAD. Nothing is changed through the API.",
    ),
    "not-acceptable": (
        HTTPStatus.NOT_ACCEPTABLE,
        "A form that there is not",
        "The Accept header names no form of this answer: forms are those there are. format= names one, too.",
    ),
    "rate-limited": (
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many requests",
        "Wait as long as Retry-After says. RateLimit-Policy and RateLimit, in every reply, say how many requests there are "
        "and how many are left.",
    ),
    "internal-error": (
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "A fault of ours",
        "Something failed that should not have. The log of the server has the details.",
    ),
}
KINDS: Mapping[str, ProblemKind] = {
    **{
        kind.value: ProblemKind(kind.value, title, HTTPStatus(STATUS[kind]), said)
        for kind, (title, said) in _OF_READERS.items()
    },
    **{slug: ProblemKind(slug, title, status, said) for slug, (status, title, said) in _OF_HTTP.items()},
}
