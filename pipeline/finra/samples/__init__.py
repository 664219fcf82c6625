"""Sample publications: files in FINRA's real format with data that the project makes itself.

FINRA's terms allow no real capture to be shipped, so the demo and the tests live on these. Everything is drawn from a
seed: the same arguments give the same bytes, on any machine.
"""

from __future__ import annotations

from pipeline.finra.samples.publications import Published, mark, publish, publish_samples, render
from pipeline.finra.samples.restatements import NotAPublication, Restated, restate
from pipeline.finra.samples.universe import Size

__all__ = [
    "NotAPublication",
    "Published",
    "Restated",
    "Size",
    "mark",
    "publish",
    "publish_samples",
    "render",
    "restate",
]
