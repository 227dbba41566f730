"""How regularly a customer buys, and how that sharpens "overdue": the gaps of `timing`, less scattered.

Beside irregular buyers (k = 1, as `timing` has them) there are regular ones: gaps that scatter as Gamma(2) or Gamma(4).
A customer is a little of each, weighed by how well each explains their own gaps. Probabilities of return come from
k = 1 all the same: the mixture knows when they buy, and is too sure whether (docs/prediction.md).
Source: Platzer & Reutterer (2016), Marketing Science 35(5), 779-799 (whole k: closed forms, no special function).
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, fsum, lgamma, log, log1p
from typing import Final, NamedTuple

import msgspec

from pipeline.core.timing import Timing

REGULARITIES: Final = (1, 2, 4)
"""The k there are; sums over k have at most four terms."""
LONGEST_COUNTS: Final = 2.0
"""A deadline is drawn to the longest silence that counts as if so many of the customer's own purchases spoke for it."""
STEPS_MAX: Final = 100
_CLOSE: Final = 1e-12
RHYTHMS_KEPT: Final = 256
"""Shops and segments whose constants are remembered."""
_LEAST: Final = 1e-300
_LGAMMA: Final = {k: lgamma(k) for k in REGULARITIES}
_NEVER_WEEKS: Final = 1e12
_SUM_ERROR_MAX: Final = 1e-6


class Rhythm(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """How the shop's customers buy when some are regular; shared parameters, and the share of each regularity."""

    timing: Timing
    shares: tuple[float, float, float]

    def __post_init__(self) -> None:
        if min(self.shares) < 0.0 or abs(fsum(self.shares) - 1.0) > _SUM_ERROR_MAX:
            raise ValueError(f"expected three shares that make 1, got {self.shares}")


class Gaps(NamedTuple):
    """What a customer's gaps between purchase days showed, as known at the last; weeks."""

    frequency: int
    recency: float
    sum_log_gap: float
    """Sum of the logarithms of the gaps: with the others it says how regular they are."""


def tail(timing: Timing, k: int, frequency: int, recency: float, silence: float) -> float:
    """Probability that somebody of regularity k who stays would be silent for longer than this."""
    n = timing.r + k * frequency
    start = timing.alpha / k + recency
    done = silence / (start + silence)
    term = summed = 1.0
    for step in range(1, k):
        term *= (n + step - 1) / step * done
        summed += term
    return min(1.0, exp(-n * log1p(silence / start)) * summed)


def fits(rhythm: Rhythm, gaps: Gaps) -> list[float]:
    """How likely a customer's gaps are under each regularity, its share included; in logarithms, up to a constant."""
    frequency, recency, sum_log_gap = gaps
    found = []
    for k, (r, alpha, constant) in zip(REGULARITIES, _constants(rhythm), strict=True):
        n = r + k * frequency
        of_gaps = (k - 1) * sum_log_gap - frequency * _LGAMMA[k] + lgamma(n) - n * log(alpha + recency)
        found.append(constant + of_gaps)
    return found


def weights(fitting: list[float], tails: list[float], left: float) -> list[float]:
    """How much of each regularity a customer is, by their own gaps (`fits`) and silence (`tails`); together 1.

    `left` is the odds of having left at the last purchase, a / (b + x).
    """
    most = max(fitting)
    parts = [exp(fit - most) * (tail_of + left) for fit, tail_of in zip(fitting, tails, strict=True)]
    total = fsum(parts)
    return [part / total for part in parts]


def regularity(rhythm: Rhythm, gaps: Gaps) -> int:
    """The k that explains a customer best, as known at their last purchase."""
    found = fits(rhythm, gaps)
    return REGULARITIES[found.index(max(found))]


def chances(rhythm: Rhythm, gaps: Gaps, silence: float, weeks: float) -> tuple[float, float]:
    """Chance of a purchase within so many weeks, and chance that a gap of somebody who stays would be longer than this.

    The first is too sure by itself, and useful to the calibration.
    """
    timing, (frequency, recency, _) = rhythm.timing, gaps
    left = timing.a / (timing.b + frequency)
    fitting = fits(rhythm, gaps)
    now = [tail(timing, k, frequency, recency, silence) for k in REGULARITIES]
    then = [tail(timing, k, frequency, recency, silence + weeks) for k in REGULARITIES]
    silent = weights(fitting, now, left)
    returns = fsum(w * (a - b) / (a + left) for w, a, b in zip(silent, now, then, strict=True))
    before = weights(fitting, [1.0] * len(REGULARITIES), left)
    return returns, fsum(w * a for w, a in zip(before, now, strict=True))


def deadline(rhythm: Rhythm, gaps: Gaps, level: float, longest: float) -> float:
    """Weeks of silence after which somebody who bought again is overdue, where no more than `longest` may pass in all.

    Their `rare_silence`, drawn to the longest the more the less they bought: a few gaps, close together by chance, do
    not yet make a rhythm whose silence is news. A mean of the two, weighed by purchases, of logarithms.
    """
    own = gaps.frequency / (gaps.frequency + LONGEST_COUNTS)
    return float(rare_silence(rhythm, gaps, level) ** own * longest ** (1.0 - own))


def rare_silence(rhythm: Rhythm, gaps: Gaps, level: float) -> float:
    """Weeks of silence that only a fraction `level` of their own gaps would exceed, by the k that fits them best.

    In closed form for k = 1; for a regular customer in a few steps.
    """
    timing, (frequency, recency, _) = rhythm.timing, gaps
    k = regularity(rhythm, gaps)
    n = timing.r + k * frequency
    start = timing.alpha / k + recency
    exponent = min(-log(level) / n, 700.0)
    low = start * (exp(exponent) - 1.0)
    return low if k == 1 else _longer(k, n, start, low, level)


def _longer(k: int, n: float, start: float, low: float, level: float) -> float:
    """The silence of which the tail of regularity k is `level`, not below `low`: by Newton's steps, kept in bounds."""
    high, silence, goal = _NEVER_WEEKS, low, log(level)
    for _ in range(STEPS_MAX):
        whole = start + silence
        done = silence / whole
        term = summed = 1.0
        for step in range(1, k):
            term *= (n + step - 1) / step * done
            summed += term
        ahead = -n * log1p(silence / start) + log(summed) - goal
        if ahead > 0.0:
            low = silence
        else:
            high = silence
        found = silence + ahead * summed * whole / (term * (n + k - 1)) if term else high
        if not low < found < high:
            found = (low + high) / 2.0 if high < _NEVER_WEEKS else 2.0 * silence + start
        if abs(found - silence) <= _CLOSE * found:
            return found
        silence = found
    return silence


@lru_cache(maxsize=RHYTHMS_KEPT)
def _constants(rhythm: Rhythm) -> tuple[tuple[float, float, float], ...]:
    """For each regularity r, alpha / k, and what of `fits` no customer changes."""
    timing = rhythm.timing
    return tuple(
        (timing.r, timing.alpha / k, log(max(share, _LEAST)) + timing.r * log(timing.alpha / k))
        for k, share in zip(REGULARITIES, rhythm.shares, strict=True)
    )
