"""Decimals in the databases: exact, and compared and ordered as numbers, on SQLite as on PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import Max, Min, QuerySet
from django.test.utils import isolate_apps

from pipeline.models.fields import ExactDecimalField
from tests.support.engines import Ledger

LARGEST = Decimal("9223372036854.775807")  # 2^63 - 1 millionths
TRILLION = Decimal(10**12)
LARGEST_SUM = Decimal("9" * 30 + ".999999")

with isolate_apps("pipeline"):

    class Figure(models.Model):
        """A row of this module alone."""

        total = ExactDecimalField(null=True)

        class Meta:
            app_label = "pipeline"


@pytest.fixture
def figures(ledger: Ledger) -> Iterator[QuerySet[Figure]]:
    with connection.schema_editor() as editor:
        editor.create_model(Figure)
    yield Figure._default_manager.all()
    with connection.schema_editor() as editor:
        editor.delete_model(Figure)


def stored(figures: QuerySet[Figure], **values: Decimal | int | None) -> Figure:
    """What the database gives back for a row of these values."""
    return figures.get(pk=figures.create(**values).pk)


@pytest.mark.promise(12)
@pytest.mark.parametrize(
    "value",
    [
        *(Decimal(0), Decimal("0.000001"), Decimal("1.5"), TRILLION, LARGEST * 1_000_000),
        *(Decimal(10**22), Decimal(10**24), LARGEST_SUM, Decimal("-0")),
        Decimal("1000000000000000000000000.000001"),
    ],
)
def test_sums_come_back_exactly(figures: QuerySet[Figure], value: Decimal) -> None:
    assert stored(figures, total=value).total == value
    assert figures.filter(total=value).count() == 1
    assert figures.filter(total__lt=value).count() == 0


def test_null_is_null(figures: QuerySet[Figure]) -> None:
    assert stored(figures, total=None).total is None
    assert figures.filter(total__isnull=True).count() == 1


ASCENDING = [
    Decimal(text) for text in ("0", "0.000001", "0.5", "2", "9.999999", "10", "1000", f"{TRILLION}", f"{LARGEST}")
] + [Decimal(10**24), Decimal(10**24) + 1, LARGEST_SUM]


@pytest.mark.promise(12)
def test_values_are_ordered_and_compared_as_numbers(figures: QuerySet[Figure]) -> None:
    for value in random.Random(7).sample(ASCENDING, len(ASCENDING)):
        figures.create(total=value)
    assert list(figures.order_by("total").values_list("total", flat=True)) == ASCENDING
    assert list(figures.order_by("-total").values_list("total", flat=True)) == ASCENDING[::-1]
    for at, value in enumerate(ASCENDING):
        assert figures.filter(total__lt=value).count() == at
        assert figures.filter(total__gte=value).count() == len(ASCENDING) - at
    assert figures.filter(total__range=(Decimal("0.4"), 10)).count() == 4
    assert figures.filter(total__in=[2, Decimal("0.50"), 3]).count() == 2
    assert figures.aggregate(low=Min("total"), high=Max("total")) == {"low": ASCENDING[0], "high": LARGEST_SUM}


def test_updates_and_bulk_inserts_are_exact_too(figures: QuerySet[Figure]) -> None:
    figures.bulk_create([Figure(total=Decimal(10**24)), Figure(total=3)])
    figures.filter(total=3).update(total=LARGEST_SUM)
    assert list(figures.order_by("total").values_list("total", flat=True)) == [Decimal(10**24), LARGEST_SUM]


INEXACT = [Decimal("0.0000001"), Decimal("1.1234567"), Decimal("1." + "0" * 40 + "1"), 0.1, Decimal("NaN")]


@pytest.mark.parametrize("value", [*INEXACT, Decimal(10**30), Decimal("Infinity"), Decimal(-1), Decimal("-0.000001")])
def test_sums_that_would_not_be_exact_or_are_negative_are_refused(figures: QuerySet[Figure], value: Decimal) -> None:
    with pytest.raises(ValueError, match=r"has more than 6 places or 30 digits before them$|is negative$"):
        figures.create(total=value)
    assert figures.count() == 0


def test_text_is_read_as_a_decimal_or_refused() -> None:
    field = ExactDecimalField()
    assert field.to_python("1.50") == Decimal("1.50")
    assert field.to_python(None) is None
    with pytest.raises(ValidationError, match="'a lot' is not a decimal"):
        field.to_python("a lot")
