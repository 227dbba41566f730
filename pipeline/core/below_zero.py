"""How likely a customer is to be worth less than nothing in all, by what they cost so far and what is still expected.

From the chances of what their orders to come leave (`ahead`). Discounting is as if these came evenly over the horizon.
"""

from __future__ import annotations

from math import exp

from pipeline.core.ahead import COARSE, Known, groups, leaves_less
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing


def p_below_zero(
    timing: Timing, spend: Spend, known: Known, actual_minor: float, horizon: tuple[float, float]
) -> float:
    """Probability that what they are worth so far and over the weeks to come is less than nothing.

    `horizon`: the weeks, and the discount a week, continuously.
    """
    weeks, discount = horizon
    span = discount * weeks
    worth = (1.0 - exp(-span)) / span if span > 0.0 else 1.0
    return leaves_less(spend, known, groups(timing, known, weeks, COARSE), -actual_minor / worth)
