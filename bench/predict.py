"""`python -m bench.predict`: what a fit, a scoring of everybody and one prediction cost, and the plots of the page.

python -m bench.predict [--customers 1000000] [--plots docs/prediction]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from bench import predict_plots
from bench.buyers import simulate
from pipeline.analysis.counts import counted, counts_of
from pipeline.analysis.fit import Fitted, fit_model
from pipeline.analysis.population import Customers, measured
from pipeline.analysis.purchases import Purchases, States
from pipeline.analysis.score import score
from pipeline.analysis.segments import segment_models
from pipeline.analysis.timing import TimingFit, fit_timing
from pipeline.core.calibration import FEATURES, Calibration
from pipeline.core.history import History, of_days
from pipeline.core.outlook import Outlook
from pipeline.core.population import Population
from pipeline.core.predict import Model, overdue_after, predict
from pipeline.core.rfm import Habits
from pipeline.core.rhythm import Rhythm
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing

TRUTH = Timing(0.525, 6.183, 0.891, 1.614)
MODEL = Model(
    TRUTH, Spend(6.25, 3.74, 1_544.0), Rhythm(TRUTH, (0.6, 0.3, 0.1)), level=0.05, fitted_on=0, second_order_weeks=28.6
)
LONGEST_WEEKS = 365 / 7
OUT = Path("bench/out/predict.json")
REPEATS = 3


def best(run: Callable[[], object]) -> float:
    """The least of a few runs in processor seconds: the others were disturbed more."""
    return min(timeit.repeat(run, timer=time.process_time, number=1, repeat=REPEATS))


def everybody(customers: int) -> dict[str, float]:
    """Processor seconds for a whole shop, from arrays of what is known of each customer."""
    tenure = np.random.default_rng(2).uniform(4.0, 150.0, customers)
    buyers = simulate(TRUTH, customers, tenure, 1.0, seed=1)
    counts = counts_of(buyers.frequency, buyers.recency, buyers.tenure)
    table = counted(counts)
    found = fit_timing(table)
    assert isinstance(found, TimingFit)
    rich, poor = np.full(customers, 3_000.0), np.zeros(customers)
    states = States(np.arange(customers), counts, buyers.sum_log_gap, buyers.frequency, rich, poor)
    return {
        "customers": customers,
        "cells": len(table.customers),
        "count_seconds": best(lambda: counted(counts)),
        "fit_seconds": best(lambda: fit_timing(table)),
        "score_seconds": best(lambda: score(MODEL, states, 10_000)),
        "fitted_r": found.timing.r,
        "fitted_alpha": found.timing.alpha,
        "fitted_a": found.timing.a,
        "fitted_b": found.timing.b,
    }


def whole(customers: int) -> dict[str, float]:
    """Processor seconds for everything a nightly fit does, from a million customers' purchase days of two years.

    Beside the model of eight weeks ago; then for the models of eight channels and of each month's newcomers.
    """
    chance = np.random.default_rng(4)
    often = chance.geometric(0.4, customers)
    who = np.repeat(np.arange(customers), often)
    days = chance.integers(0, 600, customers)[who] + chance.integers(0, 130, len(who))
    order = np.lexsort((days, who))
    who, days = who[order], days[order]
    first = np.append(True, (np.diff(who) > 0) | (np.diff(days) > 0))
    purchases = Purchases(who[first], days[first], chance.gamma(2.0, 1_500.0, int(first.sum())))
    earlier = fit_model(purchases, 729 - 56, alarms_a_week=1_000.0)
    assert isinstance(earlier, Fitted), earlier
    start = time.process_time()
    found = fit_model(purchases, 729, earlier.model, alarms_a_week=1_000.0)
    assert isinstance(found, Fitted), found
    fitted = time.process_time()
    channel, month = chance.integers(0, 8, customers), purchases.day[purchases.is_first] // 30
    scopes = {f"channel/{each}": np.flatnonzero(channel == each) for each in range(8)}
    scopes |= {f"cohort/{each}": np.flatnonzero(month == each) for each in np.unique(month)}
    segment_models(found.model, purchases, 729, scopes)
    return {
        "whole_fit_seconds": fitted - start,
        "segments_seconds": time.process_time() - fitted,
        "segments": len(scopes),
        "purchase_days": len(purchases.day),
    }


def population(customers: int) -> dict[str, float]:
    """Processor seconds for the cuts of tiers, from the figures of a million customers of eight channels."""
    chance = np.random.default_rng(6)
    expected, actual = chance.lognormal(8.0, 1.2, customers), chance.normal(2_000.0, 3_000.0, customers)
    small = chance.integers(0, [20, 3_000, 400, 8, 5, 9, 400, 12, 50_000], (customers, 9))
    gathered = Customers()
    for ahead, worth, numbers in zip(expected.tolist(), actual.tolist(), small.tolist(), strict=True):
        orders, upkeep, serve, channel, tenure, categories, *habits = numbers
        outlook = Outlook(
            round(worth),
            ahead,
            ahead / 1_500.0,
            0.5,
            orders + 1,
            upkeep,
            serve,
            f"channel {channel}",
            tenure,
            categories,
        )
        gathered.add(outlook, Habits(*habits))
    start = time.process_time()
    assert isinstance(measured([gathered], 20_500), Population)
    return {"population_seconds": time.process_time() - start}


def histories(count: int) -> list[tuple[History, int]]:
    """Customers of all kinds, each with a day to ask about."""
    chance = np.random.default_rng(3)
    found = []
    for _ in range(count):
        days = np.cumsum(chance.exponential(chance.gamma(2.0, 15.0), 1 + chance.geometric(0.3)).astype(int) + 1)
        history = of_days({9_000 + int(day): 3_000 for day in days})
        found.append((history, 9_000 + int(days[-1]) + int(chance.integers(0, 200))))
    return found


def each(count: int = 20_000) -> dict[str, float]:
    """Microseconds of processor time for one customer. The first pass fills what is remembered, the second uses it."""
    some = histories(count)
    calibrated = replace(MODEL, calibration=Calibration(90 / 7, 0.0, (0.1,) * len(FEATURES)))

    def run(work: Callable[[History, int], object]) -> float:
        start = time.process_time()
        for history, day in some:
            work(history, day)
        return (time.process_time() - start) / count * 1e6

    def all_of(work: Callable[[History, int], object]) -> float:
        return min(run(work) for _ in range(REPEATS))

    return {
        "first_predict_us": run(lambda history, day: predict(MODEL, history, day)),
        "predict_us": all_of(lambda history, day: predict(MODEL, history, day)),
        "predict_calibrated_us": all_of(lambda history, day: predict(calibrated, history, day)),
        "overdue_after_us": all_of(lambda history, day: overdue_after(MODEL, history, LONGEST_WEEKS)),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--plots", type=Path)
    options = parser.parse_args()
    if options.plots is not None:
        predict_plots.draw(options.plots)
        return
    figures = {
        "machine": platform.processor() or platform.machine(),
        **each(),
        **everybody(options.customers),
        **whole(options.customers),
        **population(options.customers),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=2) + "\n")
    for name, value in figures.items():
        print(f"{name:24} {value if isinstance(value, str) else f'{value:,.3f}'}")


if __name__ == "__main__":
    main()
