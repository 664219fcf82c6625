"""Exact decimals that SQLite and PostgreSQL store, compare and order alike.

SQLite has no decimal type: Django's DecimalField is kept there as a float of 15 digits. Share quantities have up to
6 places and weekly sums up to 10^18, so two fields of our own: `MicrosField` for the millions of rows (a bigint of
millionths, 8 bytes, exact to 9.2 * 10^12) and `ExactDecimalField` for sums (numeric, or fixed-width text on SQLite).
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

PLACES = 6
MICRO = 10**PLACES
MAX_MICROS = 2**63 - 1
INTEGER_DIGITS = 30
LARGEST = Decimal(MAX_MICROS).scaleb(-PLACES)

if TYPE_CHECKING:
    BigIntegerOfDecimal = models.BigIntegerField[Decimal | int | None, Decimal | None]
    FieldOfDecimal = models.Field[Decimal | int | None, Decimal | None]
else:
    BigIntegerOfDecimal = models.BigIntegerField
    FieldOfDecimal = models.Field


def to_micros(value: Decimal | int) -> int:
    """`value` in millionths; ValueError when it has more than 6 places or does not fit 63 bits."""
    exact = Decimal(value)
    if exact.is_finite() and abs(exact) <= LARGEST:
        micros = int(exact * MICRO)
        if from_micros(micros) == exact:
            return micros
    raise ValueError(f"{value} has more than {PLACES} places or is beyond {MAX_MICROS // MICRO:,}")


def from_micros(micros: int) -> Decimal:
    """The decimal that `micros` millionths are, without trailing zeros: 1500000 -> 1.5."""
    whole, rest = divmod(abs(micros), MICRO)
    value = Decimal(whole) if rest == 0 else Decimal(f"{whole}.{rest:06d}".rstrip("0"))
    return value if micros >= 0 else -value


class MicrosField(BigIntegerOfDecimal):
    """A Decimal of up to 6 places, stored as a bigint of millionths."""

    def from_db_value(self, value: int | None, *_: object) -> Decimal | None:
        return None if value is None else from_micros(int(value))

    def get_prep_value(self, value: Any) -> int | None:
        return None if value is None else to_micros(value)

    def to_python(self, value: Any) -> Decimal | None:
        return _decimal(value)


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
        return _decimal(value)

    def _not_negative(self, value: Decimal | int) -> Decimal:
        """`value` with all places; ValueError when that is not what it is. The negative zero becomes zero."""
        try:
            exact = Decimal(value).quantize(self._quantum, context=self._exactly)
            if exact < 0:
                raise ValueError(f"{exact} is negative")
        except ArithmeticError as error:
            raise ValueError(
                f"{value} has more than {self.places} places or {INTEGER_DIGITS} digits before them"
            ) from error
        return exact.copy_abs()


def _decimal(value: Any) -> Decimal | None:
    try:
        return None if value is None else Decimal(value)
    except ArithmeticError as error:
        raise ValidationError(f"{value!r} is not a decimal") from error
