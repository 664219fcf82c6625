"""The plausibility of a payload before it is captured, by the ledger.

The rules are in `pipeline.capture.plausibility`. This module gathers what they compare with: the current capture, the weeks
around it, and the other captured partitions.
"""

from __future__ import annotations

from contextlib import suppress

from django.conf import settings

from pipeline.capture import known_names, other_partitions, plausibility, taken_back
from pipeline.capture.anew import since_anew
from pipeline.capture.likeness import Sketches
from pipeline.capture.neighbours import most_have
from pipeline.capture.plausibility import HANDFUL, Bounds, Limits, Offer, Refusal
from pipeline.capture.surroundings import AROUND, captured_around, neighbours, sizes_of
from pipeline.capture.vintage import Vintage, following
from pipeline.finra.calendar import PartitionKey, market_today
from pipeline.finra.payloads import PartName, Payload, unpack
from pipeline.finra.sources.files.file_names import file_name
from pipeline.models import Capture
from pipeline.vintages.archive import ArchiveDamaged


def limits() -> Limits:
    """The thresholds of the settings."""
    return Limits(
        same_share=settings.MARKETSPINE_MAX_SAME_SHARE,
        restated_share=settings.MARKETSPINE_MAX_RESTATED_SHARE,
        rows=Bounds(*settings.MARKETSPINE_PLAUSIBLE_ROWS),
        shares=Bounds(*settings.MARKETSPINE_PLAUSIBLE_SHARES),
        parts=frozenset(PARTS[name] for name in settings.MARKETSPINE_EXPECTED_PARTS),
    )


PARTS = {"ats": PartName.ATS, "non-ats": PartName.NON_ATS}


def refusal(
    key: PartitionKey, payload: Payload, offered: Vintage, sketches: Sketches, held: Capture | None
) -> Refusal | None:
    """Why a payload is not to be captured; None when nothing speaks against it. `sketches` are those of its rows."""
    content, allowed = offered.content, limits()
    offer = Offer(key, content, files_of(payload.uri) if content.parts else ())
    new = [part for part in offer.rows if held is None or part not in sizes_of(held)]
    return (
        plausibility.no_rows(offer)
        or (taken_back.brought_again(key, offered, allowed.same_share) if held else None)
        or plausibility.truncated(offer)
        or plausibility.part_missing(offer, _expected(key, held, allowed))
        or plausibility.dates_of_another_week(offer, new, market_today(), allowed.restated_share)
        or (known_names.unknown_names(offer, new) if new else None)
        or _unlike_itself(offer, offered, sketches, allowed)
        or _drifted(offer, offered, sketches, allowed)
    )


def _unlike_itself(offer: Offer, offered: Vintage, sketches: Sketches, allowed: Limits) -> Refusal | None:
    """Another week's rows, or more of the rows of `base` restated than a restatement touches."""
    others = other_partitions.with_the_same(offer.key, offered, sketches, allowed.same_share)
    return plausibility.week_again(offer, others, allowed.same_share) or _restates_too_much(offer, offered, allowed)


def _drifted(offer: Offer, offered: Vintage, sketches: Sketches, allowed: Limits) -> Refusal | None:
    """The same of all restatements together since the partition was captured anew, where these are several."""
    together = _together(offered)
    if together is None or together.base is None:
        return None
    found = _unlike_itself(offer, together, sketches, allowed)
    return Refusal(f"counted from version {together.base.version}, {found.message}") if found else None


def _together(offered: Vintage) -> Vintage | None:
    """The content beside the capture that all restatements followed; None where that is the base or has the same rows, of a
    handful of rows (one of them may always change), and where its rows are lost.
    """
    kept = [one for one in since_anew(offered.base) if one.pruned_at is None] if offered.base else []
    if not kept or kept[0] == offered.base or kept[0].rows_kept < HANDFUL:
        return None
    with suppress(ArchiveDamaged):
        together = following(kept[0], offered.content)
        return together if together.changes else None
    return None


def refusal_of_reading(key: PartitionKey, reading: Vintage) -> Refusal | None:
    """Why a new reading of a payload that is captured is not to replace the earlier one."""
    offer = Offer(key, reading.content, ())
    return plausibility.no_rows(offer) or _restates_too_much(offer, reading, limits())


def file_of(key: PartitionKey, payload: Payload, part: PartName) -> str:
    """The file of a part of a payload, as the operator has it."""
    parts = [each.name for each in unpack(payload.content, payload.format)]
    files = files_of(payload.uri)
    return files[parts.index(part)] if part in parts and len(parts) == len(files) else file_name(key, part)


def files_of(uri: str) -> tuple[str, ...]:
    """The names of the files that a payload was made of."""
    return tuple(uri.partition(":")[2].split("+"))


def _restates_too_much(offer: Offer, offered: Vintage, allowed: Limits) -> Refusal | None:
    if offered.base is None or offered.comparable is None:
        return None
    changes = plausibility.changes_by_kind(offered.comparable, sizes_of(offered.base))
    return plausibility.restates_too_much(offer, changes, allowed.restated_share)


def _expected(key: PartitionKey, held: Capture | None, allowed: Limits) -> dict[PartName, str]:
    """The halves that a payload must have, each with the reason."""
    expected = dict.fromkeys(allowed.parts, "MARKETSPINE_EXPECTED_PARTS asks for them")
    if held is not None:
        return expected | dict.fromkeys(sizes_of(held), f"version {held.version} has them")
    around = neighbours(key.week_ending, captured_around(key.week_ending, AROUND, key.tier)[key.tier])
    weeks = ", ".join(map(str, sorted(around)))
    return expected | dict.fromkeys(
        most_have(list(around.values())) if around else [], f"the weeks around it have them ({weeks})"
    )
