"""Parts of amounts, in whole minor units: the one place where money is rounded, half up."""

from __future__ import annotations


def rounded(numerator: int, denominator: int) -> int:
    """The fraction to the nearest whole number; a half goes up, also below zero (-2.5 is -2)."""
    return (2 * numerator + denominator) // (2 * denominator)


def portion(amount_minor: int, part: int, whole: int) -> int:
    """`part` of `whole` of an amount."""
    return rounded(amount_minor * part, whole)
