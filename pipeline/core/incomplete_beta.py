"""The regularised incomplete beta function, in plain Python: tails of counts and of spending in closed form.

By its continued fraction, evaluated from the front (Lentz). Source: NIST DLMF 8.17.22, dlmf.nist.gov/8.17.
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p
from typing import Final

TERMS_MAX: Final = 500
"""Terms at most: beyond some thousands of orders the last digits are given up."""
_TINY: Final = 1e-300
_ENOUGH: Final = 1e-9


def incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b): probability that a Beta(a, b) number is at most x. a, b > 0; below 0 and above 1 as at 0 and 1."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, 1.0 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    numerator, denominator = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    result = denominator
    for step in range(1, TERMS_MAX):
        even = step * (b - step) * x / ((a + 2 * step - 1.0) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1.0))
        for term in (even, odd):
            denominator = 1.0 / _away_from_zero(1.0 + term * denominator)
            numerator = _away_from_zero(1.0 + term / numerator)
            change = denominator * numerator
            result *= change
        if abs(change - 1.0) < _ENOUGH:
            break
    return result


def _away_from_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
