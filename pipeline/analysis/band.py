"""How sure a forecast of a shop's orders is: by simulating what the fit leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.analysis.chances import p_alive
from pipeline.analysis.counts import Counts, Floats
from pipeline.analysis.timing import TimingFit, timing_of

DRAWS: Final = 200
CUSTOMERS_MAX: Final = 20_000
"""Beyond so many a part is simulated and scaled up: then the parameters' doubt is all that counts."""
_LEAST_CHANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Band:
    """Purchase days of all customers in the weeks ahead: eight shops in ten like this one end up within it."""

    low: float
    median: float
    high: float


def forecast_band(found: TimingFit, counts: Counts, weeks: float, seed: int) -> Band:
    """Each draw takes other parameters that fit as well, then lets every customer stay or leave, and buy.

    Somebody still there buys at their rate until they leave, and after each purchase leaves with their chance: so often
    as the lesser of a Poisson and a geometric number. The same seed gives the same band.
    """
    chance = np.random.default_rng(seed)
    step = max(1, -(-int(counts.total) // CUSTOMERS_MAX))
    rows = np.repeat(np.arange(len(counts.customers)), counts.customers.astype(np.int64))[::step]
    x, last, age = (each[rows] for each in (counts.frequency, counts.recency, counts.tenure))
    some = Counts(x, last, age, np.ones(len(rows)))
    first = found.timing.leaves_at_first
    totals = [
        _one(chance, z, some, weeks, leaves_at_first=first)
        for z in chance.multivariate_normal(found.z, found.covariance, DRAWS)
    ]
    low, median, high = np.quantile(totals, (0.1, 0.5, 0.9)) * counts.total / max(len(rows), 1)
    return Band(float(low), float(median), float(high))


def _one(chance: np.random.Generator, z: Floats, some: Counts, weeks: float, *, leaves_at_first: bool) -> float:
    timing = timing_of(z, leaves_at_first=leaves_at_first)
    there = chance.random(len(some.frequency)) < p_alive(timing, some)
    x, age = some.frequency[there], some.tenure[there]
    rate = chance.gamma(timing.r + x) / (timing.alpha + age)
    leaving = chance.beta(timing.a, timing.stays + x + 1.0)
    stops = chance.geometric(np.clip(leaving, _LEAST_CHANCE, 1.0))
    return float(np.minimum(chance.poisson(rate * weeks), stops).sum())
