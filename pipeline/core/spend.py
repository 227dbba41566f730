"""What a next purchase is worth: the Gamma-Gamma model of margin, drawn to the shop's where little is known.

It assumes that who buys often does not, for that, spend more or less at a time; the fit reports how far that holds.
Source: Fader, Hardie & Lee (2005), Journal of Marketing Research 42(4), 415-430; brucehardie.com/notes/025.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Spend:
    """How margins vary within customers (p) and between them (q, gamma); gamma in minor units."""

    p: float
    q: float
    gamma: float

    def __post_init__(self) -> None:
        if not (0.0 < self.p < inf and 1.0 < self.q < inf and 0.0 < self.gamma < inf):
            raise ValueError(f"expected p > 0, q > 1 and gamma > 0, all finite, got {self}")

    @property
    def mean_minor(self) -> float:
        """Margin of a purchase day of somebody unknown."""
        return self.p * self.gamma / (self.q - 1.0)


def expected_margin(spend: Spend, spend_days: int, mean_margin_minor: float) -> float:
    """Mean margin of the purchase days to come, from those repeat days that had one; the shop's mean without any."""
    known = spend_days * mean_margin_minor
    return spend.p * (spend.gamma + known) / (spend.p * spend_days + spend.q - 1.0)
