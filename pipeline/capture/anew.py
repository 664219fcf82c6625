"""The captures of a partition since it was captured anew: first, by force, by another parser, or with a half that it lacked.

What follows restates that one. Many small restatements could make another week of it, so together they are held against
it; and what a person has said of it stands until it is captured anew.
"""

from __future__ import annotations

from pipeline.models import Capture, CaptureKind

ANEW = (CaptureKind.FIRST, CaptureKind.FORCED, CaptureKind.REPARSED)


def since_anew(held: Capture) -> list[Capture]:
    """The captures up to `held` that stand, oldest first: the first of them is the one that captured it anew."""
    standing = Capture.objects.standing().filter(partition=held.partition_id, version__lte=held.version)
    found: list[Capture] = []
    for capture in standing.select_related("partition").order_by("-version"):
        if found and (found[-1].kind in ANEW or capture.venue_kinds != found[-1].venue_kinds):
            break
        found.append(capture)
    return found[::-1]
