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
from hypothesis import given
from hypothesis import strategies as st

from pipeline.models.fields import ExactDecimalField, MicrosField, from_micros, to_micros
from tests.engines import Ledger

LARGEST = Decimal("9223372036854.775807")  # 2^63 - 1 millionths
TRILLION = Decimal(10**12)
LARGEST_SUM = Decimal("9" * 30 + ".999999")

with isolate_apps("pipeline"):

    class Figure(models.Model):
        """A row of both kinds, of this module alone."""

        shares = MicrosField(null=True)
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
        *(Decimal(0), Decimal("0.000001"), Decimal("0.1"), Decimal("1.50"), Decimal("123456789.123456")),
        *(TRILLION, TRILLION + Decimal("0.000001"), Decimal("999999999999.999999"), LARGEST),
    ],
)
def test_shares_come_back_exactly(figures: QuerySet[Figure], value: Decimal) -> None:
    assert stored(figures, shares=value).shares == value
    assert figures.filter(shares=value).count() == 1


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
    row = stored(figures, shares=None, total=None)
    assert (row.shares, row.total) == (None, None)
    assert figures.filter(shares__isnull=True, total__isnull=True).count() == 1


ASCENDING = [
    Decimal(text) for text in ("0", "0.000001", "0.5", "2", "9.999999", "10", "1000", f"{TRILLION}", f"{LARGEST}")
]


@pytest.mark.promise(12)
@pytest.mark.parametrize("field", ["shares", "total"])
def test_values_are_ordered_and_compared_as_numbers(figures: QuerySet[Figure], field: str) -> None:
    values = ASCENDING if field == "shares" else [*ASCENDING, Decimal(10**24), Decimal(10**24) + 1, LARGEST_SUM]
    for value in random.Random(7).sample(values, len(values)):
        figures.create(**{field: value})
    assert list(figures.order_by(field).values_list(field, flat=True)) == values
    assert list(figures.order_by(f"-{field}").values_list(field, flat=True)) == values[::-1]
    for at, value in enumerate(values):
        assert figures.filter(**{f"{field}__lt": value}).count() == at
        assert figures.filter(**{f"{field}__gte": value}).count() == len(values) - at
    assert figures.filter(**{f"{field}__range": (Decimal("0.4"), 10)}).count() == 4
    assert figures.filter(**{f"{field}__in": [2, Decimal("0.50"), 3]}).count() == 2
    assert figures.aggregate(low=Min(field), high=Max(field)) == {"low": values[0], "high": values[-1]}


def test_updates_and_bulk_inserts_are_exact_too(figures: QuerySet[Figure]) -> None:
    figures.bulk_create([Figure(shares=Decimal("1.5"), total=Decimal(10**24)), Figure(shares=2, total=3)])
    figures.filter(shares=2).update(shares=LARGEST, total=LARGEST_SUM)
    assert list(figures.order_by("shares").values_list("shares", "total")) == [
        (Decimal("1.5"), Decimal(10**24)),
        (LARGEST, LARGEST_SUM),
    ]


INEXACT = [Decimal("0.0000001"), Decimal("1.1234567"), Decimal("1." + "0" * 40 + "1"), 0.1, Decimal("NaN")]


@pytest.mark.parametrize("value", [*INEXACT, LARGEST + Decimal("0.000001"), Decimal("1E+400"), Decimal("Infinity")])
def test_shares_that_would_not_be_exact_are_refused(value: Decimal) -> None:
    with pytest.raises(ValueError, match=r"has more than 6 places or is beyond 9,223,372,036,854$"):
        to_micros(value)


@pytest.mark.parametrize("value", [*INEXACT, Decimal(10**30), Decimal("Infinity"), Decimal(-1), Decimal("-0.000001")])
def test_sums_that_would_not_be_exact_or_are_negative_are_refused(figures: QuerySet[Figure], value: Decimal) -> None:
    with pytest.raises(ValueError, match=r"has more than 6 places or 30 digits before them$|is negative$"):
        figures.create(total=value)
    assert figures.count() == 0


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_millionths_are_a_decimal_and_back(micros: int) -> None:
    assert to_micros(from_micros(micros)) == micros
    assert from_micros(micros) * 10**6 == micros


@pytest.mark.parametrize(
    ("micros", "text"), [(0, "0"), (1_500_000, "1.5"), (-1_500_000, "-1.5"), (1, "0.000001"), (10**18, "1000000000000")]
)
def test_millionths_are_written_without_trailing_zeros(micros: int, text: str) -> None:
    assert str(from_micros(micros)) == text


@pytest.mark.parametrize("field", [MicrosField(), ExactDecimalField()])
def test_text_is_read_as_a_decimal_or_refused(field: MicrosField | ExactDecimalField) -> None:
    assert field.to_python("1.50") == Decimal("1.50")
    assert field.to_python(None) is None
    with pytest.raises(ValidationError, match="'a lot' is not a decimal"):
        field.to_python("a lot")
