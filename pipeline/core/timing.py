"""When a customer buys again, and whether at all: the MBG/NBD model of buying and leaving, and BG/NBD beside it.

Each customer buys at a rate of their own and, after each purchase, leaves with a chance of their own; across customers
the rates are Gamma(r, alpha) and the chances Beta(a, b). Time is in weeks throughout. `frequency` is repeat purchase
days, `recency` first to last purchase, `tenure` first purchase to the instant that is asked about.
Sources: Fader, Hardie & Lee (2005), Marketing Science 24(2), 275-284 (BG/NBD); Batislam, Denizel & Filiztekin (2007),
International Journal of Research in Marketing 24(3), 201-209 (MBG/NBD, in which the first purchase may be the last).
"""

from __future__ import annotations

from math import ceil, exp, expm1, inf, lgamma, log, log1p
from typing import Final

import msgspec

SERIES_TERMS_MAX: Final = 20_000
"""Terms of a hypergeometric series at most."""
ALIKE: Final = 20.0
"""Where r is more than so much above a + b, as of subscribers, the hypergeometric series is of terms that alternate and
cancel: each doubles what is lost."""
ALIKE_LEAVING: Final = 50.0
"""Where a is more, as where all leave with one chance, its sum has no number, or what it is multiplied by has none."""
_SPAN: Final = 4.0
"""So far, in logarithms of time, eight nodes see: to a hundred-thousandth."""
GONE: Final = 36.0
"""So little are those still there who are exp(-36) of all."""
LEAST_TERM: Final = 1e-15
LOGIT_MAX: Final = 700.0
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


def is_summed(timing: Timing, frequency: int) -> bool:
    """Whether what is left of their buying is summed over numbers of orders, not by the series, which fails here."""
    are_alike = timing.a > ALIKE_LEAVING or timing.r > timing.a + timing.stays + ALIKE
    return are_alike or timing.a > timing.r + frequency + 1.0  # of the two sums the one whose terms fall faster


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
    return 1.0 / (1.0 + exp(min(-logit, LOGIT_MAX)))


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
    return inf if exponent > LOGIT_MAX else (timing.alpha + tenure) * expm1(exponent)


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
    if is_summed(timing, frequency):
        kept = thinned(timing.r + frequency, timing.stays + frequency + 1.0, a - 1.0, ahead)
        return max(0.0, total / (a - 1.0) * (1.0 - kept))
    series = gauss(a + timing.stays - timing.r, a - 1.0, total, ahead)
    return total / (a - 1.0) * (1.0 - exp((a - 1.0) * log1p(-ahead)) * series)


def discounted_orders_if_alive(timing: Timing, frequency: int, tenure: float, weeks: float, discount: float) -> float:
    """Purchase days of the weeks to come, each worth less the later it comes: `discount` a week, continuously.

    By eight Gauss-Legendre nodes on a logarithmic scale of time, which begins at as long as they are likely to stay
    or, if that is longer, at one purchase; without discount it is `orders_if_alive`.
    """
    n, stays, start = timing.r + frequency, timing.stays + frequency + 1.0, timing.alpha + tenure
    scale = start / (n + 1.0) * max(1.0, stays / max(1.0, timing.a))
    falls = max(1.0, min(timing.a, n + 1.0))
    span, summed = log1p(min(weeks / scale, falls * expm1(GONE / falls))), 0.0
    parts = parts_of(timing, weeks)
    for part in range(parts):
        for place, weight in _NODES:
            elapsed = span * (part + place) / parts
            ahead = scale * expm1(elapsed)
            summed += weight * exp(elapsed - discount * ahead) * _kept(timing, frequency, ahead / (start + ahead))
    return n / start * scale * span * summed / parts


def parts_of(timing: Timing, weeks: float) -> int:
    """In how many parts time is looked at, by eight nodes each: one in a shop where customers come again."""
    return ceil(log1p(weeks * (timing.r + 1.0) / timing.alpha) / _SPAN)


def _kept(timing: Timing, frequency: int, done: float) -> float:
    """How much of the buying at the outset is left, on average, after `done` of what time can do."""
    a, stays = timing.a, timing.stays + frequency + 1.0
    if is_summed(timing, frequency):
        return thinned(timing.r + frequency + 1.0, stays, a, done)
    return exp(a * log1p(-done)) * gauss(a, a + timing.stays - timing.r, a + stays, done)


def thinned(n: float, stays: float, leaves: float, done: float) -> float:
    """What is left of somebody's buying, on average over how many orders may have ended it.

    After k orders (stays)_k / (stays + leaves)_k, rising factorials; k is negative binomial (n, `done`). That is
    (1 - done)^n 2F1(n, stays; stays + leaves; done), Euler's form of the series: its terms are all positive. From none
    up; or from the likeliest k both ways, where the chance of none is too small for a number.
    """
    none = n * log1p(-done)
    top = 0 if none > -LOGIT_MAX else int((n - 1.0) * done / (1.0 - done))
    likeliest = exp(none + lgamma(n + top) - lgamma(n) - lgamma(top + 1.0) + top * log(done)) if top else exp(none)
    first = exp(lgamma(stays + top) - lgamma(stays) - lgamma(stays + leaves + top) + lgamma(stays + leaves))
    term = summed = likeliest * first
    for k in range(top, top + SERIES_TERMS_MAX):
        ratio = (n + k) / (k + 1.0) * done * (stays + k) / (stays + leaves + k)
        term *= ratio
        summed += term
        if ratio < 1.0 and term <= LEAST_TERM * summed:
            break
    term = likeliest * first
    for k in range(top, max(0, top - SERIES_TERMS_MAX), -1):
        ratio = k / ((n + k - 1.0) * done) * (stays + leaves + k - 1.0) / (stays + k - 1.0)
        term *= ratio
        summed += term
        if ratio < 1.0 and term <= LEAST_TERM * summed:
            break
    return summed


def gauss(a: float, b: float, c: float, z: float) -> float:
    """The hypergeometric function 2F1(a, b; c; z) for 0 <= z < 1 by its series."""
    term = summed = 1.0
    for step in range(SERIES_TERMS_MAX):
        term *= (a + step) * (b + step) / ((c + step) * (step + 1.0)) * z
        summed += term
        if abs(term) <= LEAST_TERM * abs(summed):
            break
    return summed
