"""Fitting `core.spend` to what repeat purchase days brought: MAP for use, MLE for published checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.special import gammaln, psi

from pipeline.analysis.counts import Floats
from pipeline.analysis.search import least
from pipeline.core.spend import Spend

Refusal = Literal["nobody has spent twice", "margins out of order", "the search did not settle"]
CUSTOMERS_MAX: Final = 30_000
"""Beyond so many a sample is fitted: every so-manieth customer."""
DEPENDENCE_MAX: Final = 0.3
"""Correlation of frequency and mean margin beyond which the model's assumption is in doubt."""
_BOUND: Final = 8.0
_SPREAD: Final = np.array([0.7, 0.7, 0.5])


@dataclass(frozen=True, slots=True)
class SpendFit:
    """A fit: the parameters, the log-likelihood, who stood in it, and how far margin hangs on frequency."""

    spend: Spend
    log_likelihood: float
    customers: int
    dependence: float
    """Correlation of days and mean margin; beyond `DEPENDENCE_MAX` forecasts of revenue are to be doubted."""


def fit_spend(days: Floats, mean_margin: Floats, *, with_prior: bool = True) -> SpendFit | Refusal:
    """The parameters that fit repeat days with a margin and their mean, both (customers,), or why there are none."""
    if not (np.isfinite(days).all() and np.isfinite(mean_margin).all() and (days >= 0).all()):
        return "margins out of order"
    known = (days > 0) & (mean_margin > 0)
    step = max(1, -(-int(known.sum()) // CUSTOMERS_MAX))
    x, m = days[known][::step], mean_margin[known][::step]
    if not len(x):
        return "nobody has spent twice"
    unit = float(np.sum(x * m) / x.sum())
    scaled = m / unit
    centre = np.array([np.log(4.0), np.log(2.5), 0.0])

    def loss(z: Floats) -> tuple[float, Floats]:
        value, slope = _log_likelihood(z, x, scaled)
        if with_prior:
            away = (z - centre) / _SPREAD
            value, slope = value - 0.5 * float(away @ away), slope - away / _SPREAD
        return -value / len(x), -slope / len(x)

    found = least(loss, centre, _BOUND, gain=1e-15)
    z = found.at
    if not found.is_settled:
        return "the search did not settle"
    p, q, mean = np.exp(z[0]), 1.0 + np.exp(z[1]), np.exp(z[2]) * unit
    likelihood = _log_likelihood(z, x, scaled)[0] - len(x) * np.log(unit)
    varied = len(x) > 1 and float(np.std(x)) > 0.0 and float(np.std(m)) > 0.0
    dependence = float(np.corrcoef(x, m)[0, 1]) if varied else 0.0
    spend = Spend(float(p), float(q), float(mean * (q - 1.0) / p))
    return SpendFit(spend, float(likelihood), len(x), dependence)


def foretold(spend: Spend, days: Floats, total: Floats, more: Floats, left: Floats) -> float:
    """How likely it was, in logarithms, that `more` days would leave so much, after `days` that left `total`."""
    p, q, g = spend.p, spend.q + spend.p * days, spend.gamma + total
    shape = p * more
    value = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(g)
    value += (shape - 1.0) * np.log(left) - (shape + q) * np.log(g + left)
    return float(value.sum())


def _log_likelihood(z: Floats, x: Floats, m: Floats) -> tuple[float, Floats]:
    """In z = (ln p, ln(q - 1), ln mean), with its slope."""
    p, over, mean = np.exp(z)
    q, g = over + 1.0, mean * over / p
    all_in = np.log(g + m * x)
    value = gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(g)
    value += (p * x - 1.0) * np.log(m) + p * x * np.log(x) - (p * x + q) * all_in
    by_p = np.sum(x * (psi(p * x + q) - psi(p * x) + np.log(m * x) - all_in))
    by_q = np.sum(psi(p * x + q) - psi(q) + np.log(g) - all_in)
    by_g = np.sum(q / g - (p * x + q) / (g + m * x))
    return float(value.sum()), np.array([p * by_p - g * by_g, over * by_q + g * by_g, g * by_g])
