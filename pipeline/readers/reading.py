"""Opening files on behalf of a reader: errors of files become ReadersErrors."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from pipeline.models import Capture
from pipeline.readers.errors import ErrorKind, Facts, ReadersError
from pipeline.resilience.failures import sentence_of
from pipeline.vintages import read
from pipeline.vintages.files import StorageAway
from pipeline.vintages.store import VintageDamaged


@contextmanager
def reading(captures: Collection[Capture] = ()) -> Iterator[None]:
    """Within, frames over the files of `captures` are collected. ReadersError for rows that are gone, lost or away."""
    try:
        with read.naming_damage(captures):
            yield
    except read.NoSuchVintage as error:
        ids = tuple(capture.capture_id for capture in captures if capture.pruned_at is not None)
        raise ReadersError(ErrorKind.VINTAGE_PRUNED, str(error), facts=Facts(capture_ids=ids)) from error
    except VintageDamaged as error:
        raise ReadersError(ErrorKind.DAMAGED, str(error)) from error
    except StorageAway as error:
        raise ReadersError(ErrorKind.STORAGE_AWAY, sentence_of(error)) from error
