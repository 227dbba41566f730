"""Simulated customers whose truth is known: the only ones of whom it can be said whether they have left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analysis.counts import Floats
from pipeline.core.timing import Timing

ROUNDS_MAX = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Buyers:
    """What each did up to now, all (customers,), in weeks; and what nobody could see."""

    frequency: Floats
    recency: Floats
    tenure: Floats
    sum_log_gap: Floats
    alive: NDArray[np.bool_]
    later: NDArray[np.int64]
    """Purchases in the `ahead` weeks after."""


def simulate(timing: Timing, customers: int, tenure: Floats | float, ahead: float, **options: int) -> Buyers:
    """Customers who buy and leave as MBG/NBD says. Options: `seed`, and `k`, the regularity of their gaps."""
    k = options.get("k", 1)
    chance = np.random.default_rng(options["seed"])
    rate = chance.gamma(timing.r, k / timing.alpha, customers)
    leaving = chance.beta(timing.a, timing.b, customers)
    ages = np.broadcast_to(np.asarray(tenure, float), customers).copy()
    times, last, gaps = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    count, later = np.zeros(customers, np.int64), np.zeros(customers, np.int64)
    gone = chance.random(customers) < leaving
    alive = ~gone
    going = np.flatnonzero(~gone)
    for _ in range(ROUNDS_MAX):
        if not len(going):
            break
        gap = chance.gamma(k, 1.0, len(going)) / rate[going]
        times[going] += gap
        bought = times[going] <= ages[going]
        soon = ~bought & (times[going] <= ages[going] + ahead)
        now = going[bought]
        count[now] += 1
        last[now] = times[now]
        gaps[now] += np.log(gap[bought])
        later[going[soon]] += 1
        leaves = chance.random(len(going)) < leaving[going]
        alive[going[bought & leaves]] = False
        going = going[(bought | soon) & ~leaves]
    return Buyers(count.astype(float), last, ages, gaps, alive, later)
