"""Reading a Segment call's fields, which are typed loosely out there: numbers as text, ids as numbers, empty strings.

What is required and absent, or an amount that is none, is refused by name. What only adds is dropped when it is wrong.
A refusal says what would have done instead, so that the rest of the call can be looked at as if that were there.
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


class BadField(Unreadable):
    """A field of a call that is missing or wrong, and what could stand in its place."""

    def __init__(self, fields: Fields, name: str, stand_in: object, why: Unreadable) -> None:
        super().__init__(why.reason, *why.problems)
        self._fields = fields
        self._name = name
        self._stand_in = stand_in

    def mend(self) -> None:
        """Put something right there, in the call itself."""
        assert isinstance(self._fields, dict)  # as a call is decoded
        self._fields[self._name] = self._stand_in


def bad_field(fields: Fields, name: str, stand_in: object, problem: str) -> BadField:
    """A field that breaks the contract."""
    return BadField(fields, name, stand_in, Unreadable(Reason.SCHEMA_VIOLATION, problem))


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
        problem = f"{where}.{names[0]}: expected a string, got {got(fields, names[0])}"
        raise bad_field(fields, names[0], "-", problem)
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
    stand_in = None if name.endswith("_max") else 1  # a scale of 1 would make what is right too much
    raise bad_field(fields, name, stand_in, f"{where}.{name}: expected a decimal number, got {describe(value)}")


def minor(amount: Decimal, currency: str) -> int:
    """An amount in minor units of its currency, halves to even. Beyond 10**15 it says so much, and is refused later."""
    whole = int(_MONEY.quantize(_MONEY.scaleb(amount, EXPONENTS[currency]), Decimal(1)))
    return max(-_BEYOND, min(_BEYOND, whole))


def currency(fields: Fields, where: str, name: str = "currency") -> str:
    """The ISO 4217 code under `name`, in capitals. Raises Unreadable."""
    given = text(fields, name)
    if given is not None and given.upper() in EXPONENTS:
        return given.upper()
    what, reason = ("an ISO 4217 currency such as EUR", Reason.UNKNOWN_CURRENCY)
    if given is None:
        what, reason = ("a string", Reason.SCHEMA_VIOLATION)
    why = Unreadable(reason, f"{where}.{name}: expected {what}, got {got(fields, name)}")
    raise BadField(fields, name, "USD", why)


def got(fields: Fields, name: str) -> str:
    """What stands under `name`, in words."""
    return describe(fields[name]) if name in fields else "nothing"
