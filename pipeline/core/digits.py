"""How exactly fractions are shown: to nine digits after the point, more than anybody reads and fewer than are noise."""

from __future__ import annotations

from typing import Final

DIGITS: Final = 9
_SCALE: Final = 1e9
_EXACT_BELOW: Final = 1e12
_CLEAR_OF_HALF: Final = 0.499


def shown(fraction: float) -> float:
    """A figure not below zero to nine digits: what `round` gives, in a sixth of its time.

    A view shows some twenty. Half of a last digit is left to `round`, which knows on which side of it the figure lies;
    so is what is too large, or no number.
    """
    scaled = fraction * _SCALE
    if not scaled < _EXACT_BELOW:
        return round(fraction, DIGITS)
    whole = round(scaled)
    return whole / _SCALE if abs(scaled - whole) < _CLEAR_OF_HALF else round(fraction, DIGITS)
