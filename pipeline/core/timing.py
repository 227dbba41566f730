"""When a customer buys again, and whether at all: the MBG/NBD model of buying and leaving, and BG/NBD beside it.

Each customer buys at a rate of their own and, after each purchase, leaves with a chance of their own; across customers
the rates are Gamma(r, alpha) and the chances Beta(a, b). Time is in weeks throughout. `frequency` is repeat purchase
days, `recency` first to last purchase, `tenure` first purchase to the instant that is asked about.
Sources: Fader, Hardie & Lee (2005), Marketing Science 24(2), 275-284 (BG/NBD); Batislam, Denizel & Filiztekin (2007),
International Journal of Research in Marketing 24(3), 201-209 (MBG/NBD, in which the first purchase may be the last).
"""

from __future__ import annotations

from math import exp, expm1, inf, log, log1p
from typing import Final

import msgspec

SERIES_TERMS_MAX: Final = 20_000
"""Terms of a hypergeometric series at most."""
_LEAST_TERM: Final = 1e-15
_LOGIT_MAX: Final = 700.0
"""Beyond it `exp` overflows, and a probability is 0 or 1 in any case."""
_NEAR_ONE: Final = 1e-6
_NODES: Final = (
    (0.019855071751231884, 0.05061426814518813),
    (0.10166676129318664, 0.11119051722668724),
    (0.2372337950418355, 0.15685332293894363),
    (0.4082826787521751, 0.18134189168918100),
    (0.5917173212478249, 0.18134189168918100),
    (0.7627662049581645, 0.15685332293894363),
    (0.8983332387068134, 0.11119051722668724),
    (0.9801449282487681, 0.05061426814518813),
)
"""Gauss-Legendre on 0..1: where to look, and how much it counts."""


class Timing(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """How the shop's customers buy and leave: rates a week ~ Gamma(r, alpha), chance of leaving ~ Beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float
    leaves_at_first: bool = True
    """Whether the first purchase may be the last: MBG/NBD; if not, BG/NBD."""

    def __post_init__(self) -> None:
        for name in ("r", "alpha", "a", "b"):
            value = getattr(self, name)
            if not 0.0 < value < inf:
                raise ValueError(f"{name}: expected a finite number above 0, got {value}")

    @property
    def stays(self) -> float:
        """`b` as the formulas about a known customer use it."""
        return self.b if self.leaves_at_first else self.b - 1.0


def p_alive(timing: Timing, frequency: int, recency: float, tenure: float) -> float:
    """Probability that a customer who went quiet is still a customer.

    It depends on the model more than on the data: CDNOW's mean is .45 here and .81 by BG/NBD, at equal likelihood. Act
    on `p_return`. BG/NBD says 1 of who bought once: it sees nobody leave before a repeat purchase.
    """
    if frequency == 0 and not timing.leaves_at_first:
        return 1.0
    alpha, stays = timing.alpha, timing.b if timing.leaves_at_first else timing.b - 1.0  # `stays`, without a call
    silence = log((alpha + tenure) / (alpha + recency))
    logit = log((stays + frequency) / timing.a) - (timing.r + frequency) * silence
    return 1.0 / (1.0 + exp(min(-logit, _LOGIT_MAX)))


def p_return(timing: Timing, frequency: int, recency: float, tenure: float, weeks: float) -> float:
    """Probability of a purchase within so many weeks. It falls with every week of silence."""
    return p_alive(timing, frequency, recency, tenure) * p_return_if_alive(timing, frequency, tenure, weeks)


def p_return_if_alive(timing: Timing, frequency: int, tenure: float, weeks: float) -> float:
    """Probability of a purchase within so many weeks, of somebody who has not left."""
    return -expm1(-(timing.r + frequency) * log1p(weeks / (timing.alpha + tenure)))


def next_order_quantile(timing: Timing, frequency: int, tenure: float, fraction: float) -> float:
    """Weeks from now within which a fraction of customers like this one, if they stay, buy again; .5 is the median.

    The mean is not offered: with few purchases known it is infinite.
    """
    exponent = -log1p(-fraction) / (timing.r + frequency)
    return inf if exponent > _LOGIT_MAX else (timing.alpha + tenure) * expm1(exponent)


def expected_orders(timing: Timing, frequency: int, recency: float, tenure: float, weeks: float) -> float:
    """Purchase days expected of a customer in the weeks to come. All zeros: of somebody who has just bought first."""
    return p_alive(timing, frequency, recency, tenure) * orders_if_alive(timing, frequency, tenure, weeks)


def orders_if_alive(timing: Timing, frequency: int, tenure: float, weeks: float) -> float:
    """The same of somebody who has not left: it depends on the silence no more, so it can be remembered.

    In this form of the hypergeometric function it is right for heavy buyers too, where the textbook's gives no number.
    """
    a = timing.a if abs(timing.a - 1.0) > _NEAR_ONE else 1.0 + _NEAR_ONE
    ahead = weeks / (timing.alpha + tenure + weeks)
    total = a + timing.stays + frequency
    series = gauss(a + timing.stays - timing.r, a - 1.0, total, ahead)
    return total / (a - 1.0) * (1.0 - exp((a - 1.0) * log1p(-ahead)) * series)


def discounted_orders_if_alive(timing: Timing, frequency: int, tenure: float, weeks: float, discount: float) -> float:
    """Purchase days of the weeks to come, each worth less the later it comes: `discount` a week, continuously.

    By eight Gauss-Legendre nodes on a logarithmic scale of time; without discount it is `orders_if_alive`.
    """
    a, start = timing.a, timing.alpha + tenure
    total = a + timing.stays + frequency + 1.0
    span = log1p(weeks / start)
    summed = 0.0
    for place, weight in _NODES:
        elapsed = span * place
        series = gauss(a, a + timing.stays - timing.r, total, -expm1(-elapsed))
        summed += weight * exp(-discount * start * expm1(elapsed) + (1.0 - a) * elapsed) * series
    return (timing.r + frequency) * span * summed


def gauss(a: float, b: float, c: float, z: float) -> float:
    """The hypergeometric function 2F1(a, b; c; z) for 0 <= z < 1 by its series."""
    term = summed = 1.0
    for step in range(SERIES_TERMS_MAX):
        term *= (a + step) * (b + step) / ((c + step) * (step + 1.0)) * z
        summed += term
        if abs(term) <= _LEAST_TERM * abs(summed):
            break
    return summed
