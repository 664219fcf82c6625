"""FINRA's data or invented samples: which of them a source delivers, and which the ledger takes and shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.conf import settings

from pipeline.finra.sources.api.access import NAME as API
from pipeline.finra.sources.api.access import is_of_this_machine
from pipeline.finra.sources.base import MixedData
from pipeline.finra.sources.files.source import SamplesSource, SingleFile
from pipeline.models import DataKind, LedgerKind

APART = (
    "samples live in a ledger, an archive and a folder of their own: set MARKETSPINE_DEMO=1, which has them in var/demo, "
    "or name all three (DATABASE_URL, MARKETSPINE_ARCHIVE_DIR, MARKETSPINE_SOURCE_DIR)"
)
DEMO_ONLY = (
    "MARKETSPINE_DEMO is on, and the demo takes nothing but samples: unset it (`unset MARKETSPINE_DEMO`) to work on "
    "FINRA's data"
)


def refuse_mixture(source: str) -> None:
    """MixedData when the ledger does not take this source's kind of data. Reads only."""
    kind = _kind_of(source)
    if kind is not None:
        _check_settings(kind)
        LedgerKind.objects.admit(kind)


def decide(kind: DataKind) -> None:
    """In a capture's transaction: settle the ledger on this kind of data; MixedData when it holds the other one."""
    _check_settings(kind)
    LedgerKind.objects.decide(kind)


def works_on_samples() -> bool:
    """Whether the settings ask for samples."""
    return bool(settings.MARKETSPINE_DEMO) or str(settings.MARKETSPINE_SOURCE) == SamplesSource.name


def file_name(name: str) -> str:
    """The name of a downloaded file; samples say that they are samples."""
    return f"samples_{name}" if shows_samples() else name


def shows_samples() -> bool:
    """Whether the ledger shows invented data; before its first capture the settings tell what it will show."""
    found = LedgerKind.objects.found()
    return works_on_samples() if found is None else found is DataKind.SAMPLES


def as_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[Sequence[object]]:
    """The lines of a table for a program; invented ones have a last column that says so."""
    marked = shows_samples()
    yield (*header, "samples") if marked else header
    for row in rows:
        yield (*row, "invented") if marked else row


def manage_py() -> str:
    """The beginning of a command line for this ledger. The demo's names the demo: another shell has another ledger."""
    return "MARKETSPINE_DEMO=1 python manage.py" if settings.MARKETSPINE_DEMO else "python manage.py"


def _kind_of(source: str) -> DataKind | None:
    """The kind of data that a source delivers; None where only the reply can tell: an API on this machine may play FINRA."""
    if source == SamplesSource.name:
        return DataKind.SAMPLES
    if source == API and is_of_this_machine(settings.MARKETSPINE_FINRA_API_URL):
        return None
    return DataKind.SAMPLES if source == SingleFile.name and works_on_samples() else DataKind.REAL


def _check_settings(kind: DataKind) -> None:
    if kind is DataKind.SAMPLES and not settings.MARKETSPINE_TAKES_SAMPLES:
        raise MixedData(APART)
    if kind is DataKind.REAL and settings.MARKETSPINE_DEMO:
        raise MixedData(DEMO_ONLY)
