"""The normal distribution, as far as bands need it."""

from __future__ import annotations

from typing import Final

NINE_IN_TEN: Final = 1.6448536269514722
"""Standard errors each way that hold nine in ten."""
