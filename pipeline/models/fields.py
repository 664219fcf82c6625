"""Exact decimals that SQLite and PostgreSQL store, compare and order alike.

SQLite has no decimal type: Django keeps a DecimalField there as a float of 15 digits. Weekly sums of shares have up to 24
digits, six of them decimal places. So this field is numeric on PostgreSQL and fixed-width text on SQLite.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

PLACES = 6
INTEGER_DIGITS = 30

if TYPE_CHECKING:
    FieldOfDecimal = models.Field[Decimal | int | None, Decimal | None]
else:
    FieldOfDecimal = models.Field


class ExactDecimalField(FieldOfDecimal):
    """A non-negative Decimal of 30 digits and `places`: numeric on PostgreSQL, zero-padded text on SQLite (sorts alike)."""

    def __init__(self, *args: Any, places: int = PLACES, **options: Any) -> None:
        self.places, self._quantum = places, Decimal(1).scaleb(-places)
        # The default context has 28 digits, and rounds.
        self._exactly = Context(INTEGER_DIGITS + places, traps=[InvalidOperation, Inexact])
        super().__init__(*args, **options)

    def deconstruct(self) -> Any:
        name, path, args, options = super().deconstruct()
        return name, path, args, {**options, **({"places": self.places} if self.places != PLACES else {})}

    def get_internal_type(self) -> str:
        """A text's. In bulk inserts Django then sends PostgreSQL each column as one array, which takes half as long."""
        return "TextField"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        digits = INTEGER_DIGITS + self.places
        return f"numeric({digits},{self.places})" if connection.vendor == "postgresql" else f"varchar({digits + 1})"

    def from_db_value(self, value: Any, *_: object) -> Decimal | None:
        return None if value is None else Decimal(value).quantize(self._quantum, context=self._exactly)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if value is None:
            return None
        exact = self._not_negative(value)
        return exact if connection.vendor == "postgresql" else f"{exact:0{INTEGER_DIGITS + self.places + 1}f}"

    def to_python(self, value: Any) -> Decimal | None:
        try:
            return None if value is None else Decimal(value)
        except ArithmeticError as error:
            raise ValidationError(f"{value!r} is not a decimal") from error

    def _not_negative(self, value: Decimal | int) -> Decimal:
        """`value` with all places, -0 as 0; ValueError where it is negative or has too many digits."""
        try:
            exact = Decimal(value).quantize(self._quantum, context=self._exactly)
            if exact < 0:
                raise ValueError(f"{exact} is negative")
        except ArithmeticError as error:
            raise ValueError(
                f"{value} has more than {self.places} places or {INTEGER_DIGITS} digits before them"
            ) from error
        return exact.copy_abs()
