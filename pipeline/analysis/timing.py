"""Fitting `core.timing` to a shop's customers: the parameters under which what they did was most likely.

With a weak prior (MAP) for use, so that twenty customers give a sane answer; without (MLE) for published checks.
The fit sees z = (ln r, ln(r / alpha), logit(a / (a + b)), ln(a + b)): the mean rate and chance of leaving, and how
alike customers are in each. Its curvature at the answer says how sure the answer is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, gammaln, psi

from pipeline.analysis.counts import Counts, Floats
from pipeline.core.timing import Timing

Refusal = Literal[
    "no customers",
    "no time has passed",
    "nobody has bought twice",
    "purchases out of order",
    "the search did not settle",
]
"""Why there is no fit."""
ITERATIONS_MAX: Final = 500
SPREAD_OF_SHOPS: Final = (0.7, 1.0, 1.0, 1.0)
"""How far shops differ from the guess in each part of z (standard deviations)."""
SPREAD_OF_SEGMENTS: Final = (0.35, 0.5, 0.5, 0.5)
"""How far a cohort or channel differs from its shop."""
_BOUND: Final = 12.0
_SLOPE_MAX: Final = 1e-3
_STEP: Final = 1e-4


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
    total = counts.total

    def loss(z: Floats) -> tuple[float, Floats]:
        value, slope = log_likelihood(z, counts, leaves_at_first=leaves_at_first)
        if belief is not None:
            away = (z - belief.mean) / belief.spread
            value, slope = value - 0.5 * float(away @ away), slope - away / belief.spread
        return -value / total, -slope / total

    start = guess.mean if belief is None else belief.mean
    bounds = [(centre - _BOUND, centre + _BOUND) for centre in start]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds,
                     options={"maxiter": ITERATIONS_MAX, "ftol": 1e-14, "gtol": 1e-9})  # fmt: skip
    z = np.asarray(found.x, float)
    at_bound = bool(np.any(np.abs(z - start) >= _BOUND))
    if at_bound or not np.isfinite(found.fun) or float(np.abs(loss(z)[1]).max()) > _SLOPE_MAX:
        return "the search did not settle"
    curvature = np.array([(loss(z + step)[1] - loss(z - step)[1]) / (2.0 * _STEP) for step in np.eye(4) * _STEP])
    covariance = np.linalg.pinv((curvature + curvature.T) / 2.0 * total, hermitian=True)
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
    timing = timing_of(z, leaves_at_first=leaves_at_first)
    r, alpha, a, b = timing.r, timing.alpha, timing.a, timing.b
    x, weights = counts.frequency, counts.customers
    n, late, soon = r + x, np.log(alpha + counts.tenure), np.log(alpha + counts.recency)
    shape = a + b + x + (1.0 if leaves_at_first else 0.0)
    if leaves_at_first:
        stays, left = np.log(b + x) - n * late, np.log(a) - n * soon
    else:
        least = np.maximum(b + x - 1.0, 1e-300)
        stays, left = -n * late, np.where(x > 0, np.log(a) - np.log(least) - n * soon, -np.inf)
    both = np.logaddexp(stays, left)
    share_stays, share_left = np.exp(stays - both), np.exp(left - both)
    value = gammaln(n) - gammaln(r) + r * np.log(alpha)
    value += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(shape) + both
    over = share_stays / (alpha + counts.tenure) + share_left / (alpha + counts.recency)
    by_r = weights @ (psi(n) - psi(r) + np.log(alpha) - share_stays * late - share_left * soon)
    by_alpha = weights @ (r / alpha - n * over)
    common = psi(a + b) - psi(shape)
    of_b = (
        share_stays / (b + x)
        if leaves_at_first
        else np.where(x > 0, -share_left / np.where(x > 0, b + x - 1.0, 1.0), 0.0)
    )
    by_a = weights @ (common + share_left / a)
    by_b = weights @ (common + psi(b + x) - psi(b) + of_b)
    leaning = a * b / (a + b)
    slope = [r * by_r + alpha * by_alpha, -alpha * by_alpha, leaning * (by_a - by_b), a * by_a + b * by_b]
    return float(weights @ value), np.array(slope)


def _sum(counts: Counts, column: Floats) -> float:
    return float(counts.customers @ column)
