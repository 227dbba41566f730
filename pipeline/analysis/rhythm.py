"""Fitting `core.rhythm`: shared rates and leaving, and how many customers are how regular."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln, logsumexp, softmax

from pipeline.analysis.counts import Counts, Floats
from pipeline.analysis.timing import Prior, Refusal, prior_of_shops, problem_with, timing_of
from pipeline.core.rhythm import REGULARITIES, Rhythm

CUSTOMERS_MAX: Final = 10_000
"""Beyond so many a sample is fitted: every so-manieth customer."""
_BOUND: Final = 12.0
_SHARES_SPREAD: Final = 1.5


@dataclass(frozen=True, slots=True)
class RhythmFit:
    """A fit: the parameters and the log-likelihood under them."""

    rhythm: Rhythm
    log_likelihood: float
    customers: int


def fit_rhythm(counts: Counts, sum_log_gap: Floats) -> RhythmFit | Refusal:
    """The mixture that fits, by MAP; one row a customer. Seconds: it is for the night."""
    refusal = problem_with(counts)
    if refusal is not None:
        return refusal
    step = -(-len(counts.frequency) // CUSTOMERS_MAX)
    some = Counts(*(each[::step] for each in (counts.frequency, counts.recency, counts.tenure, counts.customers)))
    logs = sum_log_gap[::step]
    belief = prior_of_shops(some)
    centre = np.append(belief.mean, [-1.0, -1.0])
    prior = Prior(centre, np.append(belief.spread, [_SHARES_SPREAD, _SHARES_SPREAD]))
    total = some.total

    def loss(z: Floats) -> float:
        away = (z - prior.mean) / prior.spread
        return -(log_likelihood(z, some, logs) - 0.5 * float(away @ away)) / total

    bounds = [(each - _BOUND, each + _BOUND) for each in centre]
    found = minimize(loss, centre, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200, "ftol": 1e-10})
    z = np.asarray(found.x, float)
    if not found.success or np.any(np.abs(z - centre) >= _BOUND):
        return "the search did not settle"
    first, second, third = (float(each) for each in _shares(z))
    return RhythmFit(Rhythm(timing_of(z[:4]), (first, second, third)), log_likelihood(z, some, logs), len(logs))


def log_likelihood(z: Floats, counts: Counts, sum_log_gap: Floats) -> float:
    """How likely the customers' gaps and silences are, in logarithms."""
    parts = by_regularity(z, counts, sum_log_gap)
    return float(counts.customers @ logsumexp(parts, axis=0))


def by_regularity(z: Floats, counts: Counts, sum_log_gap: Floats) -> Floats:
    """Log-likelihood of each customer under each k, its share included, (regularities, customers)."""
    timing = timing_of(z[:4])
    x, silence = counts.frequency, counts.tenure - counts.recency
    leaving = gammaln(timing.a + timing.b) - gammaln(timing.b) + gammaln(timing.b + x + 1.0)
    leaving = leaving - gammaln(timing.a + timing.b + x + 1.0)
    parts = []
    for k, share in zip(REGULARITIES, _shares(z), strict=True):
        n, rate = timing.r + k * x, timing.alpha / k
        of_gaps = (k - 1) * sum_log_gap - x * gammaln(k) + gammaln(n) - gammaln(timing.r)
        of_gaps += timing.r * np.log(rate) - n * np.log(rate + counts.recency)
        silent = np.log(tails(k, n, rate + counts.recency, silence) + timing.a / (timing.b + x))
        parts.append(np.log(share) + of_gaps + leaving + silent)
    return np.array(parts)


def heaviest(rhythm: Rhythm, frequency: Floats, recency: Floats, sum_log_gap: Floats) -> Floats:
    """`core.rhythm.regularity` for many: the k that explains each customer best at their last purchase."""
    timing = rhythm.timing
    fits = []
    for k, share in zip(REGULARITIES, rhythm.shares, strict=True):
        n, rate = timing.r + k * frequency, timing.alpha / k
        fit = np.log(max(share, 1e-300)) + (k - 1) * sum_log_gap - frequency * gammaln(k) + gammaln(n)
        fits.append(fit + timing.r * np.log(rate) - n * np.log(rate + recency))
    best: Floats = np.array(REGULARITIES, np.float64)[np.argmax(fits, axis=0)]
    return best


def tails(k: int, n: Floats, start: Floats, silence: Floats) -> Floats:
    """`core.rhythm.tail` for many: n = r + k x, start = alpha / k + recency."""
    done = silence / (start + silence)
    term = summed = np.ones_like(done)
    for step in range(1, k):
        term = term * (n + step - 1) / step * done
        summed = summed + term
    return np.asarray(np.minimum(1.0, np.exp(-n * np.log1p(silence / start)) * summed))


def _shares(z: Floats) -> Floats:
    return np.asarray(softmax(np.array([0.0, z[4], z[5]])))
