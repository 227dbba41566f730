"""Fitting `core.timing` to a shop's customers: the parameters under which what they did was most likely.

With a weak prior (MAP) for use, so that twenty customers give a sane answer; without (MLE) for published checks.
The fit sees z = (ln r, ln(r / alpha), logit(a / (a + b)), ln(a + b)): the mean rate and chance of leaving, and how
alike customers are in each. Its curvature at the answer says how sure the answer is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.special import expit, gammaln, psi

from pipeline.analysis.counts import Counts, Floats, Whole
from pipeline.analysis.search import curvature, least
from pipeline.core.timing import Timing

Refusal = Literal[
    "no customers",
    "no time has passed",
    "nobody has bought twice",
    "purchases out of order",
    "the search did not settle",
]
"""Why there is no fit."""
SPREAD_OF_SHOPS: Final = (0.7, 1.0, 1.0, 1.0)
"""How far shops differ from the guess in each part of z (standard deviations)."""
SPREAD_OF_SEGMENTS: Final = (0.35, 0.5, 0.5, 0.5)
"""How far a cohort or channel differs from its shop."""
_BOUND: Final = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Where z is expected, and how widely; both (4,)."""

    mean: Floats
    spread: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TimingFit:
    """A fit: the parameters, the log-likelihood of the customers under them, and how sure they are."""

    timing: Timing
    log_likelihood: float
    customers: float
    z: Floats
    covariance: Floats
    """Of z, (4, 4): from the curvature, the prior's included."""


def prior_of_shops(counts: Counts) -> Prior:
    """The weak prior: a mean rate near what the shop shows, and a third of buyers leaving at each purchase."""
    rate = 2.0 * (_sum(counts, counts.frequency) + 0.5) / _sum(counts, counts.tenure)
    return Prior(np.array([np.log(0.7), np.log(rate), -0.8, np.log(3.0)]), np.array(SPREAD_OF_SHOPS))


def fit_timing(
    counts: Counts, prior: Prior | Literal["shops"] | None = "shops", *, leaves_at_first: bool = True
) -> TimingFit | Refusal:
    """The parameters that fit, or why there are none. `prior` None is plain maximum likelihood."""
    refusal = problem_with(counts)
    if refusal is not None:
        return refusal
    guess = prior_of_shops(counts)
    belief = guess if prior == "shops" else prior
    total, (places, weights) = counts.total, _frequencies(counts)

    def loss(z: Floats) -> tuple[float, Floats]:
        value, slope = _likelihood(z, counts, places, weights, leaves_at_first=leaves_at_first)
        if belief is not None:
            away = (z - belief.mean) / belief.spread
            value, slope = value - 0.5 * float(away @ away), slope - away / belief.spread
        return -value / total, -slope / total

    start = guess.mean if belief is None else belief.mean
    found = least(loss, start, _BOUND)
    z = found.at
    if not found.is_settled:
        return "the search did not settle"
    covariance = np.asarray(np.linalg.pinv(curvature(loss, z) * total, hermitian=True), np.float64)
    likelihood, _ = log_likelihood(z, counts, leaves_at_first=leaves_at_first)
    return TimingFit(timing_of(z, leaves_at_first=leaves_at_first), likelihood, total, z, covariance)


def problem_with(counts: Counts) -> Refusal | None:
    """What makes a fit meaningless, if anything does."""
    if counts.total <= 0.0:
        return "no customers"
    times = np.stack([counts.frequency, counts.recency, counts.tenure])
    ordered = (times >= 0.0).all() and (counts.recency <= counts.tenure).all()
    if not (np.isfinite(times).all() and ordered and ((counts.frequency > 0) == (counts.recency > 0)).all()):
        return "purchases out of order"
    if _sum(counts, counts.tenure) <= 0.0:
        return "no time has passed"
    return None if _sum(counts, counts.frequency) > 0.0 else "nobody has bought twice"


def timing_of(z: Floats, *, leaves_at_first: bool = True) -> Timing:
    """The parameters that z stands for."""
    r, rate, leaving, size = np.exp(z[0]), np.exp(z[1]), float(expit(z[2])), np.exp(z[3])
    return Timing(float(r), float(r / rate), float(leaving * size), float((1.0 - leaving) * size), leaves_at_first)


def z_of(timing: Timing) -> Floats:
    """The other way round."""
    sum_ab = timing.a + timing.b
    return np.log([timing.r, timing.r / timing.alpha, timing.a / timing.b, sum_ab])


def log_likelihood(z: Floats, counts: Counts, *, leaves_at_first: bool = True) -> tuple[float, Floats]:
    """How likely what the customers did is, in logarithms, and its slope in z, (4,)."""
    return _likelihood(z, counts, *_frequencies(counts), leaves_at_first=leaves_at_first)


def _frequencies(counts: Counts) -> tuple[Whole, Floats]:
    """Which of the frequencies there are each cell has, (cells,), and of how many customers each is."""
    places = counts.frequency.astype(np.int64)
    return places, np.bincount(places, counts.customers).astype(np.float64)


def _likelihood(
    z: Floats, counts: Counts, places: Whole, weights: Floats, *, leaves_at_first: bool
) -> tuple[float, Floats]:
    """The same, what hangs on frequency alone reckoned once for each frequency.

    Sums are numpy's own: a product of long vectors wakes the linear algebra library's threads, and their waiting for
    each other costs several times the sum.
    """
    timing = timing_of(z, leaves_at_first=leaves_at_first)
    r, alpha, a, b = timing.r, timing.alpha, timing.a, timing.b
    often = np.arange(len(weights), dtype=np.float64)
    shape = a + b + often + (1.0 if leaves_at_first else 0.0)
    n, until, last = r + counts.frequency, alpha + counts.tenure, alpha + counts.recency
    late, soon = n * np.log(until), n * np.log(last)
    if leaves_at_first:
        stays, left = np.log(b + often)[places] - late, np.log(a) - soon
        of_b = 1.0 / (b + often)
    else:
        least = np.maximum(b + often - 1.0, 1e-300)
        stays, left = -late, np.where(places > 0, np.log(a) - np.log(least)[places] - soon, -np.inf)
        of_b = np.where(often > 0, -1.0 / least, 0.0)
    both = np.logaddexp(stays, left)
    mine = counts.customers * np.exp(stays - both)
    gone = counts.customers - mine
    at_b = np.bincount(places, mine if leaves_at_first else gone, len(weights))
    of_frequency = gammaln(r + often) - gammaln(r) + r * np.log(alpha)
    of_frequency += gammaln(a + b) + gammaln(b + often) - gammaln(b) - gammaln(shape)
    value = np.sum(weights * of_frequency) + np.sum(counts.customers * both)
    by_r = np.sum(weights * (psi(r + often) - psi(r) + np.log(alpha))) - np.sum((mine * late + gone * soon) / n)
    by_alpha = weights.sum() * r / alpha - np.sum(n * (mine / until + gone / last))
    common = psi(a + b) - psi(shape)
    by_a = np.sum(weights * common) + gone.sum() / a
    by_b = np.sum(weights * (common + psi(b + often) - psi(b))) + np.sum(at_b * of_b)
    return float(value), slope_in_z(timing, (by_r, by_alpha, by_a, by_b))


def slope_in_z(timing: Timing, by: tuple[float, float, float, float]) -> Floats:
    """A slope in r, alpha, a and b as one in z, (4,)."""
    by_r, by_alpha, by_a, by_b = by
    leaning = timing.a * timing.b / (timing.a + timing.b)
    of_rate = timing.alpha * by_alpha
    return np.array([timing.r * by_r + of_rate, -of_rate, leaning * (by_a - by_b), timing.a * by_a + timing.b * by_b])


def _sum(counts: Counts, column: Floats) -> float:
    return float(np.sum(counts.customers * column))
