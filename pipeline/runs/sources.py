"""The sources with their settings, since no source knows Django."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from marketspine.addresses import for_redis_py
from pipeline import VERSION
from pipeline.finra.plain_text import as_typed, is_utf8
from pipeline.finra.sources import SourceOptions, open_source
from pipeline.finra.sources.api.access import NAME, Access
from pipeline.finra.sources.base import Source, SourceError
from pipeline.finra.sources.deadline import Deadline
from pipeline.models import data_kinds
from pipeline.runs.request import Request

# A request is tried again sooner than its partition.
REQUESTS_PER_RETRY = 20
REDIS = ("redis://", "rediss://", "unix://")
PLAN_SECONDS = 60  # a plan asks a source only for a list; a source that does not answer in time holds up no plan


def source(name: str, origin: str) -> Source:
    """The source called `name`; UnknownSource, or UnsafeSource where the settings name an address that is not FINRA's."""
    most = settings.MARKETSPINE_MAX_FILE_BYTES, access(), settings.MARKETSPINE_MAX_ROWS
    return open_source(name, SourceOptions(Path(origin), *most))


def origin_of(name: str, folder: str = "") -> str:
    """The origin that the ledger records: the address of the API, or the folder of files (the settings' without one)."""
    if name == NAME:
        return str(settings.MARKETSPINE_FINRA_API_URL)
    path = str(Path(folder or settings.MARKETSPINE_SOURCE_DIR).resolve())
    if not is_utf8(path):
        raise SourceError(f"the path of the source folder, {as_typed(path)}, is not UTF-8 text: rename or move it")
    return path


def access() -> Access:
    """The access to FINRA's API. A fleet shares its rate and its token in its broker's Redis."""
    broker = for_redis_py(settings.CELERY_BROKER_URL)
    return Access(
        api_url=settings.MARKETSPINE_FINRA_API_URL,
        token_url=settings.MARKETSPINE_FINRA_TOKEN_URL,
        hosts=tuple(settings.MARKETSPINE_FINRA_HOSTS),
        client_id=settings.FINRA_CLIENT_ID,
        client_secret=settings.FINRA_CLIENT_SECRET,
        requests_per_second=settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND,
        connections=settings.MARKETSPINE_FINRA_CONNECTIONS,
        request_seconds=settings.MARKETSPINE_FINRA_REQUEST_SECONDS,
        retry_seconds=settings.MARKETSPINE_RETRY_SECONDS / REQUESTS_PER_RETRY,
        shared=broker if broker.startswith(REDIS) else "",
        user_agent=_user_agent(settings.MARKETSPINE_CONTACT),
    )


def _user_agent(contact: str) -> str:
    """The User-Agent header with the contact. A header is ASCII: other characters of the contact are left out."""
    about = "".join(character for character in contact if " " <= character <= "~" and character not in "()")
    return f"MarketSpine/{VERSION} (+{about})" if about.strip() else f"MarketSpine/{VERSION}"


def source_of(request: Request, seconds: float | None = None) -> Source:
    """The source that the request names, with a deadline for its answers.

    SourceError when there is none of that name; MixedData when the ledger does not take what it delivers.
    """
    if request.fetches:
        data_kinds.refuse_mixture(request.source)
    return Deadline(source(request.source, request.origin), seconds or settings.MARKETSPINE_FETCH_SECONDS)
