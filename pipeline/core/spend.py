"""What a next purchase day leaves: how likely it leaves something, and how much then, drawn to the shop's.

The Gamma-Gamma model is of days that leave something. It assumes that who buys often does not, for that, spend more or
less at a time; the fit reports how far that holds. Days that are given back whole, or sold at a loss, are purchases
too: how many are such, and what they cost, is counted beside it.
Source: Fader, Hardie & Lee (2005), Journal of Marketing Research 42(4), 415-430; brucehardie.com/notes/025.
"""

from __future__ import annotations

from math import inf
from typing import Final

import msgspec

PRIOR_DAYS: Final = 1.0
"""How many of somebody's days leave something is drawn to the shop's as if by so many days; so is what others leave."""


class Spend(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """How margins vary within customers (p) and between them (q, gamma); gamma in minor units."""

    p: float
    q: float
    gamma: float
    paying_fraction: float = 1.0
    """Of the shop's repeat purchase days, so many leave something."""
    poor_minor: float = 0.0
    """What one of the others leaves on average: nothing, or less."""

    def __post_init__(self) -> None:
        if not (0.0 < self.p < inf and 1.0 < self.q < inf and 0.0 < self.gamma < inf):
            raise ValueError(f"expected p > 0, q > 1 and gamma > 0, all finite, got {self}")
        if not (0.0 < self.paying_fraction <= 1.0 and -inf < self.poor_minor <= 0.0):
            raise ValueError(f"expected a paying fraction above 0 and poor days that leave nothing or less, got {self}")

    @property
    def paying_minor(self) -> float:
        """Margin of a purchase day of somebody unknown, if it leaves something."""
        return self.p * self.gamma / (self.q - 1.0)

    @property
    def mean_minor(self) -> float:
        """Margin of a purchase day of somebody unknown, whatever it leaves."""
        return self.paying_fraction * self.paying_minor + (1.0 - self.paying_fraction) * self.poor_minor


def expected_margin(
    spend: Spend, spend_days: int, mean_margin_minor: float, poor_days: int = 0, poor_minor: int = 0
) -> float:
    """Mean margin of the purchase days to come, from the repeat days so far; the shop's mean without any.

    `spend_days` left something, `mean_margin_minor` on average; the other `poor_days` left `poor_minor` in all.
    """
    share = paying_share(spend, spend_days, poor_days)
    rich = paying_margin(spend, spend_days, mean_margin_minor)
    return share * rich + (1.0 - share) * poor_margin(spend, poor_days, poor_minor)


def paying_share(spend: Spend, spend_days: int, poor_days: int) -> float:
    """How many of somebody's purchase days to come leave something, from 0 to 1."""
    return (spend_days + PRIOR_DAYS * spend.paying_fraction) / (spend_days + poor_days + PRIOR_DAYS)


def paying_margin(spend: Spend, spend_days: int, mean_margin_minor: float) -> float:
    """What such a day leaves: Gamma-Gamma's E[M]."""
    known = spend_days * mean_margin_minor
    return spend.p * (spend.gamma + known) / (spend.p * spend_days + spend.q - 1.0)


def poor_margin(spend: Spend, poor_days: int, poor_minor: int) -> float:
    """What one of the others leaves: nothing, or less."""
    return (poor_minor + PRIOR_DAYS * spend.poor_minor) / (poor_days + PRIOR_DAYS)
