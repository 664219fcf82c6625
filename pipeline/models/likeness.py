"""The sketch of each partition's newest capture, by which another week's rows are found under a wrong name."""

from __future__ import annotations

from django.db import models

from pipeline.models.partition import Partition


class PartitionSketch(models.Model):
    """The smallest hashes of the rows of a partition's newest capture, four bytes each (`pipeline.capture.likeness`).

    Every hash up to `ceiling` is among them. It is derived from the rows, and written with each capture.
    """

    partition = models.OneToOneField(Partition, primary_key=True, on_delete=models.CASCADE, related_name="sketch")
    hashes = models.BinaryField()
    ceiling = models.BigIntegerField()

    def __str__(self) -> str:
        return f"sketch of {self.partition}"
