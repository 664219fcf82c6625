"""The feed counter: the last position given in the feeds. New captures and verdicts that change take the next."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

ONLY = 1
GAP = 1_000_000  # more positions than a ledger that was lost can have given after the last that is known


class FeedCounterManager(models.Manager["FeedCounter"]):
    """The one row."""

    def take(self, number: int = 1) -> int:
        """The next position, the first of so many that follow each other.

        The row stays locked until the transaction ends, so positions grow in the order of the commits: a reader of the feed
        who has seen a position never misses a smaller one. So the caller takes them late in its transaction, and waits for
        nothing from there to the commit. A position that is rolled back is given again.
        """
        last = self.hold()
        self.filter(pk=ONLY).update(last=last + number)
        return last + 1

    def last_given(self) -> int:
        """The last position given; 0 before the first."""
        return self.values_list("last", flat=True).filter(pk=ONLY).first() or 0

    def hold(self) -> int:
        """Let no other process take a position until the transaction ends; the last one that was given."""
        locked = self.select_for_update().filter(pk=ONLY).values_list("last", flat=True)
        last = locked.first()
        if last is None:
            self.get_or_create(pk=ONLY)
            last = locked.get()
        return last

    def skip_gap(self) -> None:
        """Leave out GAP positions: the ledger that was lost may have given them."""
        self.take(GAP)

    def raise_to(self, position: int) -> None:
        """From now on give only positions above this one."""
        self.get_or_create(pk=ONLY)
        self.filter(pk=ONLY, last__lt=position).update(last=position)


class FeedCounter(models.Model):
    """The last position given: one row, made with the first position."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    last = models.PositiveBigIntegerField(default=0)

    objects = FeedCounterManager()

    class Meta:
        default_permissions = ()
        constraints = (models.CheckConstraint(condition=Q(id=ONLY), name="feed_counter_is_one_row"),)

    def __str__(self) -> str:
        return f"position {self.last}"
