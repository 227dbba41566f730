"""Reading a Segment call's fields, which are typed loosely out there: numbers as text, ids as numbers, empty strings.

What is required and absent, or an amount that is none, is refused by name. What only adds is dropped when it is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any, Final

from pipeline.schemas.currencies import EXPONENTS
from pipeline.schemas.dead_letters import Reason
from pipeline.schemas.explain import Unreadable, describe

Fields = Mapping[str, Any]

_MONEY: Final = Context(prec=50, rounding=ROUND_HALF_EVEN)
_DIGITS_MAX: Final = 15
"""Digits before the point: beyond any amount the contract takes, short of making huge numbers."""
_BEYOND: Final = 10**15
_NOT_A_CODE: Final = re.compile(r"[^a-z0-9_.-]+")
_CODE_CHARS_MAX: Final = 64


def section(fields: Fields, name: str) -> Fields:
    """The object under `name`; empty if there is none."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def text(fields: Fields, *names: str) -> str | None:
    """The first of `names` that says something, trimmed. A whole number is read as its digits."""
    for name in names:
        value = fields.get(name)
        if value is None:  # most often
            continue
        if isinstance(value, str):
            trimmed = value.strip()
            if trimmed:
                return trimmed
        elif isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def short(fields: Fields, *names: str, at_most: int = 100) -> str | None:
    """Like `text`, for what may be missing: None if it is too long to be what it should."""
    value = text(fields, *names)
    return None if value is None or len(value) > at_most else value


def required(fields: Fields, where: str, *names: str) -> str:
    """Like `text`, for what may not be missing. Raises Unreadable."""
    value = text(fields, *names)
    if value is None:
        raise Unreadable(Reason.SCHEMA_VIOLATION, f"{where}.{names[0]}: expected a string, got {got(fields, names[0])}")
    return value


def code(value: str | None) -> str | None:
    """`value` as a code: `Paid Search` is `paid_search`. None if nothing is left of it."""
    if value is None:
        return None
    return _NOT_A_CODE.sub("_", value.lower()).strip("_.-")[:_CODE_CHARS_MAX] or None


def flag(fields: Fields, *names: str) -> bool:
    """Whether one of `names` is true, as a boolean or in letters."""
    return any(fields.get(name) is True or fields.get(name) == "true" for name in names)


def number(fields: Fields, where: str, name: str) -> Decimal | None:
    """The decimal number under `name`, exactly as written; None if there is none. Raises Unreadable."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, (int, Decimal, str)) and not isinstance(value, bool):
        try:
            decimal = Decimal(value)
        except InvalidOperation:
            decimal = Decimal("NaN")
        if decimal.is_finite() and decimal.adjusted() < _DIGITS_MAX:
            return decimal
    raise Unreadable(Reason.SCHEMA_VIOLATION, f"{where}.{name}: expected a decimal number, got {describe(value)}")


def minor(amount: Decimal, currency: str) -> int:
    """An amount in minor units of its currency, halves to even. Beyond 10**15 it says so much, and is refused later."""
    whole = int(_MONEY.quantize(_MONEY.scaleb(amount, EXPONENTS[currency]), Decimal(1)))
    return max(-_BEYOND, min(_BEYOND, whole))


def currency(fields: Fields, where: str, name: str = "currency") -> str:
    """The ISO 4217 code under `name`, in capitals. Raises Unreadable."""
    given = required(fields, where, name).upper()
    if given not in EXPONENTS:
        problem = f"{where}.{name}: expected an ISO 4217 currency such as EUR, got {describe(given)}"
        raise Unreadable(Reason.UNKNOWN_CURRENCY, problem)
    return given


def got(fields: Fields, name: str) -> str:
    """What stands under `name`, in words."""
    return describe(fields[name]) if name in fields else "nothing"
