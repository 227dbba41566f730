"""Fitting `core.rhythm`: shared rates and leaving, and how many customers are how regular."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaln, logsumexp, psi, softmax

from pipeline.analysis.counts import Counts, Floats, Whole
from pipeline.analysis.search import least
from pipeline.analysis.timing import Prior, Refusal, prior_of_shops, problem_with, slope_in_z, timing_of, z_of
from pipeline.core.rhythm import REGULARITIES, Rhythm
from pipeline.core.timing import Timing

CUSTOMERS_MAX: Final = 10_000
"""Beyond so many a sample is fitted: every so-manieth customer."""
_BOUND: Final = 12.0
_SHARES_SPREAD: Final = 1.5
_NO_SHARE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class RhythmFit:
    """A fit: the parameters and the log-likelihood under them."""

    rhythm: Rhythm
    log_likelihood: float
    customers: int


def fit_rhythm(counts: Counts, sum_log_gap: Floats) -> RhythmFit | Refusal:
    """The mixture that fits, by MAP; one row a customer."""
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

    def loss(z: Floats) -> tuple[float, Floats]:
        value, slope = log_likelihood(z, some, logs)
        away = (z - prior.mean) / prior.spread
        return -(value - 0.5 * float(away @ away)) / total, -(slope - away / prior.spread) / total

    found = least(loss, centre, _BOUND, gain=1e-12)
    z = found.at
    if not found.is_settled:
        return "the search did not settle"
    first, second, third = (float(each) for each in _shares(z))
    return RhythmFit(Rhythm(timing_of(z[:4]), (first, second, third)), log_likelihood(z, some, logs)[0], len(logs))


def log_likelihood(z: Floats, counts: Counts, sum_log_gap: Floats) -> tuple[float, Floats]:
    """How likely the customers' gaps and silences are, in logarithms, and its slope in z, (6,)."""
    timing, shares = timing_of(z[:4]), _shares(z)
    a, b = timing.a, timing.b
    often, place = _frequencies(counts.frequency)
    customers = np.bincount(place, counts.customers)
    leaving = gammaln(a + b) - gammaln(b) + gammaln(b + often + 1.0) - gammaln(a + b + often + 1.0)
    each = [_of_regularity(k, timing, counts, sum_log_gap) for k in REGULARITIES]
    parts, by_r, by_alpha, of_left = (np.array(rows) for rows in zip(*each, strict=True))
    parts += np.log(shares)[:, None]
    whole = logsumexp(parts, axis=0)
    mine = counts.customers * np.exp(parts - whole)
    left = np.bincount(place, np.sum(mine * of_left, axis=0)) / (b + often)
    common = psi(a + b) - psi(a + b + often + 1.0)
    slope = slope_in_z(
        timing,
        (
            float(np.sum(mine * by_r)),
            float(np.sum(mine * by_alpha)),
            float(np.sum(customers * common + left)),
            float(np.sum(customers * (common - psi(b) + psi(b + often + 1.0)) - left * a / (b + often))),
        ),
    )
    of_shares = mine.sum(axis=1) - customers.sum() * shares
    value = np.sum(counts.customers * whole) + np.sum(customers * leaving)
    return float(value), np.append(slope, of_shares[1:])


def likelihood(rhythm: Rhythm, counts: Counts, sum_log_gap: Floats) -> float:
    """How likely they are under a rhythm, in logarithms."""
    shares = np.log(np.maximum(rhythm.shares, _NO_SHARE))
    return log_likelihood(np.append(z_of(rhythm.timing), shares[1:] - shares[0]), counts, sum_log_gap)[0]


def _of_regularity(
    k: int, timing: Timing, counts: Counts, sum_log_gap: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Log-likelihood of each customer's gaps and silence under k, its slopes in r, alpha and the share that left."""
    r, x, rate = timing.r, counts.frequency, timing.alpha / k
    often, place = _frequencies(x)
    n, start = r + k * x, rate + counts.recency
    log_start = np.log(start)
    tail, by_n, by_start = _sloped_tails(k, n, start, counts.tenure - counts.recency)
    silent = tail + (timing.a / (timing.b + often))[place]
    of_frequency = gammaln(r + k * often) - gammaln(r) - often * gammaln(k) + r * np.log(rate)
    value = of_frequency[place] + (k - 1) * sum_log_gap - n * log_start + np.log(silent)
    by_r = (psi(r + k * often) - psi(r) + np.log(rate))[place] - log_start + by_n / silent
    return value, by_r, (r / rate - n / start + by_start / silent) / k, 1.0 / silent


def _frequencies(frequency: Floats) -> tuple[Floats, Whole]:
    """Every frequency up to the highest, and the place of each customer's among them, (customers,)."""
    place = frequency.astype(np.int64)
    return np.arange(place.max(initial=0) + 1, dtype=np.float64), place


def tails(k: int, n: Floats, start: Floats, silence: Floats) -> Floats:
    """`core.rhythm.tail` for many: n = r + k x, start = alpha / k + recency."""
    done = silence / (start + silence)
    term = summed = np.ones_like(done)
    for step in range(1, k):
        term = term * (n + step - 1) / step * done
        summed = summed + term
    return np.asarray(np.minimum(1.0, np.exp(-n * np.log1p(silence / start)) * summed))


def _sloped_tails(k: int, n: Floats, start: Floats, silence: Floats) -> tuple[Floats, Floats, Floats]:
    """`tails`, and its slopes in n and in start."""
    # Not one form with `tails`: deadlines ask for no slopes, so often that with them a fit takes a quarter longer.
    done, spread = silence / (start + silence), np.log1p(silence / start)
    term, by_n = np.ones_like(done), np.zeros_like(done)
    summed, summed_by_n = term, by_n
    for step in range(1, k):
        by_n = (by_n * (n + step - 1) + term) / step * done
        term = term * (n + step - 1) / step * done
        summed, summed_by_n = summed + term, summed_by_n + by_n
    going = np.exp(-n * spread)
    return going * summed, going * (summed_by_n - spread * summed), going * term * (n + k - 1) * done / start


def heaviest(rhythm: Rhythm, frequency: Floats, recency: Floats, sum_log_gap: Floats) -> Floats:
    """`core.rhythm.regularity` for many: the k that explains each customer best at their last purchase."""
    timing = rhythm.timing
    often, place = _frequencies(frequency)
    fits = []
    for k, share in zip(REGULARITIES, rhythm.shares, strict=True):
        n, rate = timing.r + k * frequency, timing.alpha / k
        of_frequency = gammaln(timing.r + k * often) - often * gammaln(k)
        fit = np.log(max(share, 1e-300)) + (k - 1) * sum_log_gap + of_frequency[place]
        fits.append(fit + timing.r * np.log(rate) - n * np.log(rate + recency))
    best: Floats = np.array(REGULARITIES, np.float64)[np.argmax(fits, axis=0)]
    return best


def _shares(z: Floats) -> Floats:
    return np.asarray(softmax(np.array([0.0, z[4], z[5]])))
