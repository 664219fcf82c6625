"""The feed counter: the last position given in the feeds. New captures and verdicts that change take the next."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

ONLY = 1


class FeedCounterManager(models.Manager["FeedCounter"]):
    """The one row."""

    def take(self) -> int:
        """The next position. The caller takes it last in its transaction, just before the commit.

        The row stays locked until the transaction ends, so positions grow in the order of the commits: a reader of the feed
        who has seen a position never misses a smaller one. A position that is rolled back is given again.
        """
        self.skip(1)
        return self.values_list("last", flat=True).get(pk=ONLY)

    def last_given(self) -> int:
        """The last position given; 0 before the first."""
        return self.values_list("last", flat=True).filter(pk=ONLY).first() or 0

    def hold(self) -> None:
        """Let no other process take a position until the transaction ends."""
        self.get_or_create(pk=ONLY)
        self.select_for_update().get(pk=ONLY)

    def skip(self, number: int) -> None:
        """Leave out so many positions: a ledger that is lost may have given them."""
        if not self.filter(pk=ONLY).update(last=F("last") + number):
            self.get_or_create(pk=ONLY)
            self.filter(pk=ONLY).update(last=F("last") + number)

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
