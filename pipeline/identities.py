"""Securities and venues: from their natural keys in a payload to their ids.

Runs outside the transaction that stores a capture, so that nobody waits there for another partition's new symbols. An
identity without rows is harmless. New ones are inserted in the order of their keys: two payloads never deadlock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from django.db import connection
from django.db.backends.utils import CursorWrapper

from pipeline.models import Security, Venue, VenueKind

BATCH = 5000


def security_ids(keys: Collection[str]) -> dict[str, int]:
    """The id of each "symbol|issue name", created when it is new."""
    wanted = set(keys)
    found = _known_securities(wanted)
    missing = sorted(wanted - found.keys())
    if missing:
        new = (key.split("|", 1) for key in missing)
        Security.objects.bulk_create(
            [Security(symbol=symbol, issue_name=issue) for symbol, issue in new], BATCH, ignore_conflicts=True
        )
        found |= _known_securities(set(missing))
    return found


def venue_ids(keys: Collection[str], names: Mapping[str, str], week_ending: date) -> dict[str, int]:
    """The id of each "mpid|crd|firm name", created when it is new.

    `names` maps an MPID to the name that the payload of `week_ending` gives it; the newest week's name is kept.
    """
    wanted = set(keys)
    found = _known_venues()
    missing = sorted(wanted - found.keys())
    if missing:
        Venue.objects.bulk_create([_venue(key, names, week_ending) for key in missing], BATCH, ignore_conflicts=True)
        found |= _known_venues()
    _rename(names, week_ending)
    return {key: found[key] for key in wanted}


def _known_securities(keys: set[str]) -> dict[str, int]:
    """Those of `keys` that exist. Asked by symbol, all of a payload at once."""
    symbols = {key.split("|", 1)[0] for key in keys}
    known: dict[str, int] = {}
    for batch in _batched(sorted(symbols), BATCH):
        with connection.cursor() as cursor:
            _select_securities(cursor, batch)
            known.update((f"{symbol}|{issue}", pk) for pk, symbol, issue in cursor.fetchall())
    return {key: known[key] for key in keys & known.keys()}


def _select_securities(cursor: CursorWrapper, symbols: list[str]) -> None:
    head = "SELECT id, symbol, issue_name FROM pipeline_security WHERE symbol"
    if connection.vendor == "postgresql":
        cursor.execute(f"{head} = ANY(%s)", [symbols])
    else:
        cursor.execute(f"{head} IN ({', '.join(['%s'] * len(symbols))})", symbols)


def _known_venues() -> dict[str, int]:
    """All venues: some hundreds."""
    known = {}
    for pk, kind, mpid, crd, name in Venue.objects.values_list("pk", "kind", "mpid", "crd", "name"):
        known[f"{mpid}|{crd}|" if kind == VenueKind.ATS else f"|{crd}|{name}"] = pk
    return known


def _venue(key: str, names: Mapping[str, str], week_ending: date) -> Venue:
    mpid, crd, name = key.split("|", 2)
    if mpid:
        return Venue(kind=VenueKind.ATS, mpid=mpid, crd=crd, name=names.get(mpid, ""), named_in=week_ending)
    return Venue(kind=VenueKind.NON_ATS, crd=crd, name=name, named_in=week_ending)


def _rename(names: Mapping[str, str], week_ending: date) -> None:
    """Give ATS venues the names of `week_ending`, but where a newer week has named them.

    Of two names in one week the greater is kept, so that the end does not depend on the order of the partitions. They are
    compared here, since each database orders text in its own way; a name that changed meanwhile is looked at again.
    """
    for venue in Venue.objects.filter(kind=VenueKind.ATS, mpid__in=list(names)):
        name = names[venue.mpid]
        while (venue.named_in, venue.name) < (week_ending, name):
            as_seen = Venue.objects.filter(pk=venue.pk, named_in=venue.named_in, name=venue.name)
            if as_seen.update(name=name, named_in=week_ending):
                break
            venue.refresh_from_db()


def _batched(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
