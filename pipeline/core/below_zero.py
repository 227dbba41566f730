"""How likely a customer is to be worth less than nothing in all, by what they cost so far and what is still expected.

The orders of the horizon are as many as the lesser of two numbers: those that their rate allows (Poisson, the rate
Gamma) and those until they leave (geometric, the chance Beta); both tails are closed forms, and their product is the
number's own. How many of them leave something is Beta binomial. What so many leave is, given its mean, Gamma, and the
mean's inverse is Gamma too: so a sum of j margins is below an amount with the probability of an incomplete beta
function. Beyond the first few, numbers of orders are taken in groups, each at its middle, and what is left by those of
them that leave something as a Gamma sum of the same mean and variance. Discounting is as if the orders came evenly over
the horizon.
"""

from __future__ import annotations

from math import exp, lgamma
from typing import Final, NamedTuple

from pipeline.core.incomplete_beta import incomplete_beta
from pipeline.core.spend import PRIOR_DAYS, Spend, paying_share, poor_margin
from pipeline.core.timing import Timing

SINGLE: Final = 3
"""Numbers of orders looked at one by one."""
GROWTH: Final = 2.0
"""How much longer each group beyond is than the one before."""
GROUPS_MAX: Final = 16
_LEAST: Final = 1e-3
"""Chances below this are left out."""


class Known(NamedTuple):
    """What is known of a customer; times in weeks, money in minor units."""

    frequency: int
    tenure: float
    p_alive: float
    spend_days: int
    mean_margin_minor: float
    actual_minor: float
    """What they are worth so far."""
    upkeep_minor: float
    """What keeping and serving them costs for each order to come."""
    poor_days: int = 0
    """Repeat days that left nothing or less, and what in all."""
    poor_minor: int = 0


def p_below_zero(timing: Timing, spend: Spend, known: Known, weeks: float, discount: float) -> float:
    """Probability that what they are worth so far and over so many weeks to come is less than nothing."""
    span = discount * weeks
    worth = (1.0 - exp(-span)) / span if span > 0.0 else 1.0
    lacking = -known.actual_minor / worth
    chances = [at_least(timing, known, weeks, orders) for orders in range(1, SINGLE + 1)]
    none = 1.0 - known.p_alive * chances[0]
    below = none if lacking > 0.0 else 0.0
    low, chance = 1, chances[0]
    for group in range(1, GROUPS_MAX):
        high = low + 1 if low <= SINGLE else max(low + 1, round(low * GROWTH))
        beyond = chances[high - 1] if high <= SINGLE else at_least(timing, known, weeks, high)
        if beyond < _LEAST or group == GROUPS_MAX - 1:
            beyond = 0.0
        middle = (low + high - 1) / 2.0
        if chance > beyond:
            short = spends_less(spend, known, middle, lacking + middle * known.upkeep_minor)
            below += known.p_alive * (chance - beyond) * short
        low, chance = high, beyond
        if not chance:
            break
    return min(1.0, below)


def at_least(timing: Timing, known: Known, weeks: float, orders: int) -> float:
    """Probability of at least so many orders in the weeks to come, of somebody who has not left."""
    stays, start = timing.stays + known.frequency + 1.0, timing.alpha + known.tenure
    allowed = incomplete_beta(orders, timing.r + known.frequency, weeks / (start + weeks))
    stayed = exp(
        lgamma(stays + orders - 1.0) - lgamma(stays)
        - lgamma(timing.a + stays + orders - 1.0) + lgamma(timing.a + stays)
    )  # fmt: skip
    return allowed * stayed


def spends_less(spend: Spend, known: Known, orders: float, amount_minor: float) -> float:
    """Probability that so many orders leave less than an amount."""
    share = paying_share(spend, known.spend_days, known.poor_days)
    if share == 1.0:
        return _rich_less(spend, known, spend.p * orders, amount_minor)
    poor = poor_margin(spend, known.poor_days, known.poor_minor)
    weight = known.spend_days + known.poor_days + PRIOR_DAYS  # of the Beta that the share is drawn from
    pays, fails = share * weight, (1.0 - share) * weight
    none = exp(lgamma(fails + orders) - lgamma(fails) - lgamma(weight + orders) + lgamma(weight))
    below = none if amount_minor > orders * poor else 0.0
    if orders <= SINGLE:
        chance = none
        for rich in range(1, round(orders) + 1):  # each from the one before
            chance *= (orders - rich + 1.0) / rich * (pays + rich - 1.0) / (fails + orders - rich)
            below += chance * _rich_less(spend, known, spend.p * rich, amount_minor - (orders - rich) * poor)
        return below
    some = 1.0 - none
    mean = share * orders / some
    square = share * orders * ((1.0 - share) * (weight + orders) / (weight + 1.0) + share * orders) / some
    wider = 1.0 + spend.p * (square - mean * mean) / mean
    short = (amount_minor - (orders - mean) * poor) / wider
    return below + some * _rich_less(spend, known, spend.p * mean / wider, short)


def _rich_less(spend: Spend, known: Known, shape: float, amount_minor: float) -> float:
    """Probability that a sum of such a shape of margins above zero is less than an amount."""
    if amount_minor <= 0.0:
        return 0.0
    seen = spend.gamma + known.spend_days * known.mean_margin_minor
    return incomplete_beta(shape, spend.q + spend.p * known.spend_days, amount_minor / (amount_minor + seen))
