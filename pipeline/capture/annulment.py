"""Taking a capture back: it stays, and one with the rows of a capture before it follows, which names it.

So the latest rows are the good ones again, what was known at an instant stays the same, and the feed tells of it. What was
taken back is refused when the source offers it again, until an operator forces it.
"""

from __future__ import annotations

from pipeline.capture import commit, current, likeness
from pipeline.capture.commit import Candidate
from pipeline.capture.decision import Decision, DecisionKind
from pipeline.capture.terms import Provenance, Terms
from pipeline.capture.vintage import following
from pipeline.checkpoints import checkpoints
from pipeline.models import Capture, CaptureKind
from pipeline.vintages import payloads


class CannotBeAnnulled(Exception):
    """A capture is not to be taken back, and why."""


@checkpoints("annul")
def annul(capture: Capture, terms: Terms) -> Capture:
    """The capture that takes another one back; `terms` say who does it and why.

    CannotBeAnnulled; ArchiveDamaged when a payload cannot be read; Superseded when another capture is made meanwhile.
    """
    key, held = capture.partition.key, current.newest(capture.partition.key)
    if held is None or held.normalized_at is None:
        raise CannotBeAnnulled(f"{held or capture} has no rows yet: store them first")
    standing = _standing_beside(capture)
    content = payloads.read_archived(standing)
    if content.content_hash != standing.content_hash:
        raise CannotBeAnnulled(f"the payload of {standing} reads as other rows than it has: re-normalize first")
    reading = following(current.newest_normalized(key), content)
    reason = f"{capture} was annulled; the rows of version {standing.version} again"
    return commit.make(
        Candidate(
            key=key,
            held=held,
            kind=CaptureKind.ANNULMENT,
            decision=Decision(DecisionKind.FORCED, reason),
            provenance=Provenance.of_capture(standing),
            vintage=reading,
            sketches=likeness.sketches(content.keyed),
            annuls=capture,
        ),
        terms,
    )


def _standing_beside(capture: Capture) -> Capture:
    """The newest capture of the partition that stands when this one does not. CannotBeAnnulled."""
    if capture.kind == CaptureKind.ANNULMENT:
        raise CannotBeAnnulled(f"{capture} takes another one back itself: force a re-ingest to have that again")
    if capture.annulment is not None:
        raise CannotBeAnnulled(f"{capture} is annulled already, by {capture.annulment}")
    others = Capture.objects.of_partition(capture.partition.key).normalized().standing().exclude(pk=capture.pk)
    found = others.filter(pruned_at__isnull=True).select_related("partition").order_by("-version").first()
    if found is None:
        raise CannotBeAnnulled(
            f"{capture} is the only capture of its partition that stands: there is nothing to go back to. A forced "
            "re-ingest of the right file replaces it"
        )
    return found
